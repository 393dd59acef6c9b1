"""Ten thousand events over HTTP into the functions, many of them twice, nonsense, or met by a failing call; what is left must be exactly right."""
