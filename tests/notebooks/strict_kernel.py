"""Start-up file of the kernels that test the chapters: warnings are errors, and so is a magic that does not exist."""


def _be_strict():
    import warnings

    from IPython import get_ipython

    # Third-party warnings that a chapter cannot avoid: (message, category). Everything else is an error.
    allowed = (("There is no current event loop", DeprecationWarning),)  # ipykernel as it starts, on Python 3.12
    warnings.simplefilter("error")
    for message, category in allowed:
        warnings.filterwarnings("ignore", message=message, category=category)

    # IPython prints a usage error to stderr only, where no test would see it; send it as the error it is.
    shell = get_ipython()
    shell.show_usage_error = lambda error: shell._showtraceback(type(error), error, [f"UsageError: {error}"])


_be_strict()
del _be_strict  # a chapter must not find names that it did not make
