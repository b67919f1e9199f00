"""One module per screen; they only draw. Not called `pages`: Streamlit would run the files of such a folder itself."""
