"""The core of Steadyline: everything two services share; it imports none of them."""
