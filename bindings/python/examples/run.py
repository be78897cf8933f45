"""Does what `longattn run` does: run.py PACKAGE DIRECTORY [--SETTING VALUE]... INPUT..."""

import sys
from typing import Any

import longattn

USAGE = "usage: run.py PACKAGE DIRECTORY [--SETTING VALUE]... INPUT..."


def settings_and_inputs(arguments: list[str]) -> tuple[dict[str, Any], list[str]]:
    settings, inputs = {}, []
    rest = iter(arguments)
    for argument in rest:
        if argument.startswith("--"):
            settings[argument[2:].replace("-", "_")] = next(rest, None)
        else:
            inputs.append(argument)
    if None in settings.values():
        sys.exit(USAGE)
    return settings, inputs


def main() -> None:
    if len(sys.argv) < 4:
        sys.exit(USAGE)
    package, directory = sys.argv[1:3]
    settings, inputs = settings_and_inputs(sys.argv[3:])
    try:
        result = longattn.run(
            package,
            inputs,
            directory,
            on_reject=lambda reject: print(f"rejected: {reject.file}:{reject.line or ''} {reject.reason}", file=sys.stderr),
            on_notice=lambda notice: print(notice, file=sys.stderr),
            **settings,
        )
    except longattn.LongAttnError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("cancelled: run it again with --earlier-results resume")
    for category in result.categories:
        print(f"{category.name}: {category.selected} of {category.windows} windows selected")


if __name__ == "__main__":
    main()
