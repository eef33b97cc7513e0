//! Pools, which are asked how to connect and for nothing else.
//!
//! A connection out of a pool was perhaps made by the user's runtime and stops when that is blocked; taking it out waits
//! for all that is idle and dead to be pinged, and for those who hold the others. Its manager alone knows how to connect,
//! and is free of all that.

use deadpool::managed::Manager;

use super::Connection;

impl From<deadpool_redis::Pool> for Connection {
    fn from(pool: deadpool_redis::Pool) -> Self {
        Self::made("the server of the given pool", true, move || {
            let pool = pool.clone();
            async move { pool.manager().create().await }
        })
    }
}

#[cfg(feature = "sentinel")]
impl From<deadpool_redis::sentinel::Pool> for Connection {
    fn from(pool: deadpool_redis::sentinel::Pool) -> Self {
        Self::made("the master of the given sentinel pool", true, move || {
            let pool = pool.clone();
            async move { pool.manager().create().await }
        })
    }
}

#[cfg(feature = "cluster")]
impl From<deadpool_redis::cluster::Pool> for Connection {
    fn from(pool: deadpool_redis::cluster::Pool) -> Self {
        let made = Self::made("the cluster of the given pool", false, move || {
            let pool = pool.clone();
            async move { pool.manager().create().await }
        });
        made.in_cluster()
    }
}
