"""Copies may be kept from taking the whole account's concurrency; a new account could not be deployed to otherwise."""

from tests.support.template import resources, template
from tests.template.test_workflows import MACHINES, machine, states


def test_what_a_map_invokes_is_bounded_by_the_parameter_and_nothing_else_is_reserved() -> None:
    """Only Maps run one function many times for a recording."""
    mapped = {
        state["Arguments"]["FunctionName"].removeprefix("${").removesuffix("Arn}")
        for path in MACHINES.values()
        for _, outer in states(machine(path))
        if outer["Type"] == "Map" and outer["MaxConcurrency"] > 2
        for state in outer["ItemProcessor"]["States"].values()
    }
    reserved = {
        name: body["ReservedConcurrentExecutions"]
        for name, body in resources("AWS::Serverless::Function").items()
        if "ReservedConcurrentExecutions" in body
    }
    bounded = {"Fn::If": ["BoundsCopies", {"Ref": "CopyConcurrency"}, {"Ref": "AWS::NoValue"}]}
    assert reserved == dict.fromkeys(mapped, bounded)
    assert len(mapped) == 4


def test_nothing_is_reserved_by_default() -> None:
    """Lambda refuses a reservation that leaves the account less than 100, and a new account has 10."""
    assert template()["Parameters"]["CopyConcurrency"]["Default"] == 0
    assert template()["Conditions"]["BoundsCopies"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "CopyConcurrency"}, 0]}]}
