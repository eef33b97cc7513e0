//! What the tests share: servers, proxies, simulated processes.
