"""An export of a checkpoint to a bundle.

``plan`` says what is asked for, ``option_checks`` and ``check`` refuse what cannot be done, ``exporter`` holds the
order of the steps, ``component`` and ``component_graphs`` the four steps of a component, ``build_log`` what is
finished, ``manifest`` the last file.
"""
