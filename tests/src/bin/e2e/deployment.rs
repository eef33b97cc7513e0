//! What `REDIS_URL` names, and how it is disturbed.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use coord_tests::wait;
use redis::{Client, RedisResult};

/// Servers, as far as a URL tells; those of the compose files have no passwords.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Deployment {
    Standalone(Vec<String>),
    Cluster(Vec<String>),
    Sentinel {
        sentinels: Vec<String>,
        master: String,
    },
}

impl Deployment {
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let (scheme, rest) = url.split_once("://").context("REDIS_URL is no URL")?;
        let rest = rest.split('?').next().unwrap_or_default();
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let port = if scheme == "redis+sentinel" {
            26_379
        } else {
            6_379
        };
        let hosts: Vec<String> = hosts
            .split(',')
            .map(|host| match host.contains(':') {
                true => format!("redis://{host}"),
                false => format!("redis://{host}:{port}"),
            })
            .collect();
        Ok(match scheme {
            "redis" => Self::Standalone(hosts),
            "rediscluster" => Self::Cluster(hosts),
            "redis+sentinel" => Self::Sentinel {
                sentinels: hosts,
                master: path.to_owned(),
            },
            _ => bail!("{scheme}:// is not among the deployments of the compose files"),
        })
    }

    /// Lets the servers fail over, or cuts every connection where there is one alone. Says what was done.
    pub(crate) fn disturb(&self, within: Duration) -> Result<String> {
        match self {
            Self::Standalone(hosts) => {
                let cut: i64 = ask(&hosts[0], &["CLIENT", "KILL", "TYPE", "normal"])?;
                ensure!(0 < cut, "there was no connection to cut");
                Ok(format!("{cut} connections were cut"))
            }
            Self::Cluster(hosts) => {
                // Masters refuse; each of the others takes its master's place.
                let order = |host: &&String| {
                    ask::<String>(host, &["CLUSTER", "FAILOVER"]).is_ok_and(|reply| reply == "OK")
                };
                let promoted = hosts.iter().filter(order).count();
                ensure!(
                    0 < promoted,
                    "no replica of {hosts:?} takes its master's place"
                );
                Ok(format!("{promoted} replicas take their masters' places"))
            }
            Self::Sentinel { sentinels, master } => {
                let order = || ask::<String>(&sentinels[0], &["SENTINEL", "FAILOVER", master]).ok();
                // They refuse until they know a good replica.
                wait::until(within, order).context("the sentinels refuse to fail over")?;
                Ok("the sentinels put a replica in the master's place".to_owned())
            }
        }
    }
}

fn ask<T: redis::FromRedisValue>(host: &str, command: &[&str]) -> RedisResult<T> {
    let mut connection = Client::open(host)?.get_connection_with_timeout(ANSWER)?;
    connection.set_read_timeout(Some(ANSWER))?;
    let mut call = redis::Cmd::new();
    call.arg(command).query(&mut connection)
}

const ANSWER: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_urls_of_the_compose_files_are_understood() {
        let parse = |url| Deployment::parse(url).unwrap();
        let hosts = |hosts: &[&str]| {
            hosts
                .iter()
                .map(|&host| host.to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            parse("redis://redis:7000/0?x=1"),
            Deployment::Standalone(hosts(&["redis://redis:7000"]))
        );
        assert_eq!(
            parse("rediscluster://a,b:7"),
            Deployment::Cluster(hosts(&["redis://a:6379", "redis://b:7"]))
        );
        assert_eq!(
            parse("redis+sentinel://s1,s2/main"),
            Deployment::Sentinel {
                sentinels: hosts(&["redis://s1:26379", "redis://s2:26379"]),
                master: "main".to_owned(),
            }
        );
        assert!(Deployment::parse("memory://x").is_err());
    }
}
