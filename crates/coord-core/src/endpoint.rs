//! Connection URLs: what they say, and what is wrong with them.

use std::fmt;

use crate::namespace::{Namespace, NamespaceError};

/// A parsed connection URL.
///
/// | form | deployment |
/// | --- | --- |
/// | `redis://[user:pass@]host[:port][/db][?ns=…]` | one server |
/// | `redis+unix:///path/to/socket[?db=…&ns=…]` | one server, by unix socket |
/// | `rediscluster://h1[:port],h2…[?ns=…]` | a Redis Cluster |
/// | `memory://name[?ns=…]` | the embedded store, shared by name within the process |
///
/// Ports default to 6379, `ns` to the caller's default. User, password and path are percent-decoded. The password
/// appears in no output of this type.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    kind: Kind,
    namespace: Option<Namespace>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Tcp {
        host: String,
        port: u16,
        database: u32,
        credentials: Credentials,
    },
    Unix {
        path: String,
        database: u32,
        credentials: Credentials,
    },
    Memory {
        name: String,
    },
}

#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Credentials {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
}

impl Endpoint {
    /// The port used where a URL names none.
    pub const DEFAULT_PORT: u16 = 6_379;

    /// Parses `url`.
    ///
    /// # Errors
    ///
    /// [`EndpointError`], which names the offending part but never the credentials.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        let (scheme, rest) = url.split_once("://").ok_or(EndpointError::NoScheme)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let query = Query::parse(query)?;
        let kind = match scheme {
            "redis" => tcp(rest, &query)?,
            "redis+unix" => unix(rest, &query)?,
            "rediscluster" | "redisscluster" => return Err(cluster(scheme, rest, &query)),
            "memory" => memory(rest, &query)?,
            "rediss" | "redis+sentinel" => {
                return Err(EndpointError::Unsupported {
                    scheme: scheme.to_owned(),
                });
            }
            _ => {
                return Err(EndpointError::UnknownScheme {
                    scheme: scheme.to_owned(),
                });
            }
        };
        Ok(Self {
            kind,
            namespace: query.namespace,
        })
    }

    /// The namespace that the URL names with `?ns=`.
    #[must_use]
    pub const fn namespace(&self) -> Option<&Namespace> {
        self.namespace.as_ref()
    }

    pub(crate) const fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The same endpoint without its namespace: what decides whether two connections can be one.
    pub(crate) fn without_namespace(&self) -> Self {
        Self {
            kind: self.kind.clone(),
            namespace: None,
        }
    }
}

impl fmt::Display for Endpoint {
    /// The address without credentials, as errors and logs show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Tcp {
                host,
                port,
                database,
                ..
            } => {
                if host.contains(':') {
                    write!(f, "redis://[{host}]:{port}/{database}")
                } else {
                    write!(f, "redis://{host}:{port}/{database}")
                }
            }
            Kind::Unix { path, database, .. } => write!(f, "redis+unix://{path}?db={database}"),
            Kind::Memory { name } => write!(f, "memory://{name}"),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

/// A URL that is no [`Endpoint`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// There is no `://`.
    #[error("connection URL has no scheme; write redis://host:port")]
    NoScheme,
    /// The scheme is not one of ours.
    #[error("unknown scheme {scheme:?}; use redis://, redis+unix:// or memory://")]
    UnknownScheme {
        /// The scheme.
        scheme: String,
    },
    /// The scheme is known, but this build cannot serve it.
    #[error(
        "scheme {scheme:?} is not supported by this build; use redis://, redis+unix:// or memory://"
    )]
    Unsupported {
        /// The scheme.
        scheme: String,
    },
    /// No host, socket path or name.
    #[error("connection URL names no {what}")]
    Missing {
        /// What is missing.
        what: &'static str,
    },
    /// The port is not a number from 1 to 65535.
    #[error("port {port} is not a number from 1 to 65535; user and password end with an @")]
    Port {
        /// The rejected text, where it consists of digits.
        port: String,
    },
    /// The database is not a number.
    #[error("database {database:?} is not a number from 0 to 4294967295")]
    Database {
        /// The rejected text.
        database: String,
    },
    /// A cluster has no databases.
    #[error(
        "database {database:?} in a cluster URL; a cluster has only database 0, separate by ?ns= instead"
    )]
    ClusterDatabase {
        /// The rejected text.
        database: String,
    },
    /// A query key that means nothing here.
    #[error("unknown query key {key:?}; known are ns and, for unix sockets, db")]
    UnknownKey {
        /// The key.
        key: String,
    },
    /// A query key that stands there twice.
    #[error("query key {key:?} is given twice")]
    RepeatedKey {
        /// The key.
        key: String,
    },
    /// A broken percent escape, or one that is not UTF-8.
    #[error("{part} of the connection URL is not valid percent-encoded UTF-8")]
    Encoding {
        /// Which part.
        part: &'static str,
    },
    /// The namespace cannot be used.
    #[error("query key \"ns\" is not usable")]
    Namespace(#[from] NamespaceError),
}

#[derive(Default)]
struct Query {
    namespace: Option<Namespace>,
    database: Option<String>,
}

impl Query {
    fn parse(text: &str) -> Result<Self, EndpointError> {
        let mut query = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decode(value, "a query value")?;
            let repeated = match key {
                "ns" => query.namespace.replace(Namespace::new(value)?).is_some(),
                "db" => query.database.replace(value).is_some(),
                _ => {
                    return Err(EndpointError::UnknownKey {
                        key: key.to_owned(),
                    });
                }
            };
            if repeated {
                return Err(EndpointError::RepeatedKey {
                    key: key.to_owned(),
                });
            }
        }
        Ok(query)
    }

    fn no_database(&self) -> Result<(), EndpointError> {
        match self.database {
            Some(_) => Err(EndpointError::UnknownKey {
                key: "db".to_owned(),
            }),
            None => Ok(()),
        }
    }
}

fn tcp(rest: &str, query: &Query) -> Result<Kind, EndpointError> {
    query.no_database()?;
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (credentials, address) = split_credentials(authority)?;
    let (host, port) = host_and_port(address)?;
    Ok(Kind::Tcp {
        host,
        port,
        database: parse_database(database)?,
        credentials,
    })
}

fn unix(rest: &str, query: &Query) -> Result<Kind, EndpointError> {
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let (credentials, _) = split_credentials(authority)?;
    if path.len() < 2 {
        return Err(EndpointError::Missing {
            what: "socket path",
        });
    }
    Ok(Kind::Unix {
        path: decode(path, "the socket path")?,
        database: parse_database(query.database.as_deref().unwrap_or(""))?,
        credentials,
    })
}

/// Cluster URLs are checked as a whole, so that the first error a user sees is the one to mend.
fn cluster(scheme: &str, rest: &str, query: &Query) -> EndpointError {
    let check = || {
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let in_path = (!database.is_empty()).then_some(database);
        if let Some(database) = in_path.or(query.database.as_deref()) {
            return Err(EndpointError::ClusterDatabase {
                database: database.to_owned(),
            });
        }
        let (_, seeds) = split_credentials(authority)?;
        seeds
            .split(',')
            .try_for_each(|seed| host_and_port(seed).map(|_| ()))
    };
    check().err().unwrap_or_else(|| EndpointError::Unsupported {
        scheme: scheme.to_owned(),
    })
}

fn memory(rest: &str, query: &Query) -> Result<Kind, EndpointError> {
    query.no_database()?;
    let name = decode(rest.trim_end_matches('/'), "the name")?;
    Ok(Kind::Memory { name })
}

fn split_credentials(authority: &str) -> Result<(Credentials, &str), EndpointError> {
    let Some((user_info, address)) = authority.rsplit_once('@') else {
        return Ok((Credentials::default(), authority));
    };
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let part =
        |text, name| decode(text, name).map(|text| Some(text).filter(|text| !text.is_empty()));
    let credentials = Credentials {
        user: part(user, "the user")?,
        password: part(password, "the password")?,
    };
    Ok((credentials, address))
}

fn host_and_port(address: &str) -> Result<(String, u16), EndpointError> {
    let (host, port) = match address
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').unwrap_or(port))),
        None => match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        },
    };
    if host.is_empty() {
        return Err(EndpointError::Missing { what: "host" });
    }
    let port = match port {
        None => Endpoint::DEFAULT_PORT,
        Some(text) => text
            .parse()
            .ok()
            .filter(|&port: &u16| port != 0)
            .ok_or_else(|| EndpointError::Port {
                port: shown_port(text),
            })?,
    };
    Ok((host.to_owned(), port))
}

/// What stands where a port should may be a password whose `@` was forgotten: only digits are safe to show.
fn shown_port(text: &str) -> String {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.to_owned()
    } else {
        "(not shown, it may be a password)".to_owned()
    }
}

fn parse_database(text: &str) -> Result<u32, EndpointError> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| EndpointError::Database {
        database: text.to_owned(),
    })
}

fn decode(text: &str, part: &'static str) -> Result<String, EndpointError> {
    percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| EndpointError::Encoding { part })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: &str) {
        let actual = match Endpoint::parse(url) {
            Ok(endpoint) => endpoint.to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(actual, expected, "{url}");
    }

    #[test]
    fn every_form_is_understood() {
        check("redis://localhost", "redis://localhost:6379/0");
        check(
            "redis://localhost:7000/3?ns=prod",
            "redis://localhost:7000/3",
        );
        check("redis://user:secret@[::1]:7000", "redis://[::1]:7000/0");
        check(
            "redis+unix:///run/redis.sock?db=2",
            "redis+unix:///run/redis.sock?db=2",
        );
        check("memory://demo", "memory://demo");
        check("memory://", "memory://");
    }

    #[test]
    fn what_is_wrong_is_named() {
        check(
            "localhost:6379",
            "connection URL has no scheme; write redis://host:port",
        );
        check(
            "http://x",
            "unknown scheme \"http\"; use redis://, redis+unix:// or memory://",
        );
        check("redis://", "connection URL names no host");
        check("redis://:6379", "connection URL names no host");
        check("redis+unix://", "connection URL names no socket path");
        check(
            "redis://h:0",
            "port 0 is not a number from 1 to 65535; user and password end with an @",
        );
        check(
            "redis://h:65536",
            "port 65536 is not a number from 1 to 65535; user and password end with an @",
        );
        check(
            "redis://user:secret",
            "port (not shown, it may be a password) is not a number from 1 to 65535; user and password end with an @",
        );
        check(
            "redis://h/one",
            "database \"one\" is not a number from 0 to 4294967295",
        );
        check(
            "rediscluster://h1,h2/1",
            "database \"1\" in a cluster URL; a cluster has only database 0, separate by ?ns= instead",
        );
        check(
            "redis://h?nx=1",
            "unknown query key \"nx\"; known are ns and, for unix sockets, db",
        );
        check("redis://h?ns=a&ns=b", "query key \"ns\" is given twice");
        check("redis://h?ns=", "query key \"ns\" is not usable");
        check("redis://h?ns=a%20b", "query key \"ns\" is not usable");
        check(
            "redis://%ff@h",
            "the user of the connection URL is not valid percent-encoded UTF-8",
        );
    }

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let endpoint = Endpoint::parse("redis://us%40er:p%3Ass@host").expect("valid");
        let Kind::Tcp { credentials, .. } = endpoint.kind() else {
            panic!("a TCP endpoint");
        };
        assert_eq!(credentials.user.as_deref(), Some("us@er"));
        assert_eq!(credentials.password.as_deref(), Some("p:ss"));
        let shown = format!("{endpoint} {endpoint:?}");
        assert!(!shown.contains("er") || !shown.contains("p:ss"), "{shown}");
        assert!(!shown.contains("ss"), "{shown}");
    }
}
