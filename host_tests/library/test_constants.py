"""Private constants stand in several modules, for a board cannot import them: they must agree."""

import importlib
import pkgutil

import microws

MODULES = [
    importlib.import_module("microws." + module.name)
    for module in pkgutil.iter_modules(microws.__path__)
    if module.name != "_viper"
]


def test_constants_of_one_name_have_one_value():
    values = {}
    for module in MODULES:
        for name, value in vars(module).items():
            if name.startswith("_") and name[1:].isupper() and isinstance(value, int):
                values.setdefault(name, set()).add(value)
    assert len(values["_ENDED"]) == 1
    assert {name: found for name, found in values.items() if len(found) > 1} == {}
