"""Builds the services of the functions from their adapters.

    api        functions/api: one builder for each endpoint
    trigger    functions/trigger: webhook, stream, restore events, audit
    workflow   functions/workflow: tasks of the state machines
    sync       functions/workflow: tasks of the scheduled sync
    shared     what several of these build

A builder has the name of its function's folder. It first requires the settings that its function reads, so that a
function with an incomplete environment fails at import and names all that is missing. Then it imports its adapters: a
function loads only what it uses.
"""
