"""What each screen shows, as plain values made of API objects: no Streamlit, no cluster, no clock of their own."""
