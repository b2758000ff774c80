"""What a month costs, and which quota is met first, computed from committed tables and a dated list of prices.

prices     tools/bench/prices.toml
machines   how many transitions an execution makes, from statemachines/
measured   what each function costs, from tests/data/api_costs.json, docs/figures.md and template.yaml
profiles   what kinds of recordings there are, and how they are used
month      what a month of so many recordings uses
quotas     which limit of a service is met at how many recordings a month
report     the tables in docs/costs.md and docs/scale.md
"""
