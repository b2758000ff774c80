"""Gates over the template as `sam deploy` expands it: `python -m tools.checks [template.yaml]`, a part of `make check`.

* cfn-lint    what CloudFormation would refuse
* names       fixed names, which a second stack could not use
* quotas      of resources, parameters, mappings and outputs
* iam         actions, resources and condition keys of every policy, compared with AWS's service authorization data
* checkov     its rules for CloudFormation

`tools.checks.machines` checks the state machines. `excused.toml` lists the accepted faults with reasons.
"""
