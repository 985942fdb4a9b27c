"""Start-up file of the kernels that test chapters: warnings are errors, so is an unknown magic, figures are coarse."""


def _be_strict():
    import sys
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

    def draw_coarsely(_info):
        """Few pixels: a chapter must draw its figures here, and nobody looks at them."""
        if style := sys.modules.get("labutils.viz.style"):
            style.BOOK_STYLE["figure.dpi"] = 48

    shell.events.register("pre_run_cell", draw_coarsely)


_be_strict()
del _be_strict  # a chapter must not find names that it did not make
