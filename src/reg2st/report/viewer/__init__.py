"""Interactive pages of slides: deep zoom, observed beside predicted expression, any gene.

A page is a folder of plain files that a browser opens from disk. :mod:`reg2st.report.viewer.page`
says what is on it, ``study_page`` and ``slide_page`` fill it from a study's section and from a
slide's predictions, ``page_writer`` writes it, and ``start_page`` the list of all pages.
"""
