"""Gates over the template as `sam deploy` expands it: `python -m tools.checks [template.yaml]`, a part of `make check`.

* cfn-lint    what CloudFormation would refuse
* names       what would keep a second stack out of the account and region
* quotas      what a stack may have no more of
* iam         actions, resources and condition keys of every policy, held against AWS's service authorization data
* checkov     its rules for CloudFormation

`checks.machines` does the same for the state machines. `excused.toml` says what is kept all the same, and why.
"""
