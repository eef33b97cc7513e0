//! Asking sentinels for the master.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::Instant};

use super::{
    Answer, Inner, Node, Whose,
    master::{self, Master},
};
use crate::store::StoreError;

impl Inner {
    /// How long sentinels have to answer; less than a heartbeat waits, so that there is time left for the master.
    pub(super) const LOOK_TIMEOUT: Duration = Duration::from_millis(350);
    /// How long a majority is waited for once one has answered: one that hangs, or is far away, holds nobody up.
    const SECOND_OPINION: Duration = Duration::from_millis(100);
    /// How many sentinels an error names.
    const NAMED: usize = 8;

    /// Asks the sentinels. Those who come while somebody does wait for that outcome.
    pub(super) async fn look(&self) -> Result<Arc<Node>, StoreError> {
        let before = self.state().looks;
        let _looking = self.looking.lock().await;
        if self.state().looks != before
            && let Some(node) = self.undoubted()
        {
            return Ok(node);
        }
        let asked = self.clock.now();
        let found = self.ask_all().await;
        self.state().looks += 1;
        let (master, most) = found.inspect_err(|_| self.note_silence())?;
        self.take(Answer {
            master,
            asked,
            whose: Whose::All { most },
        })
    }

    /// The master with the highest epoch that is named, and whether most sentinels have answered.
    pub(super) async fn ask_all(&self) -> Result<(Master, bool), StoreError> {
        let mut asking = JoinSet::new();
        for sentinel in &self.sentinels {
            asking.spawn(ask(Arc::clone(sentinel), self.master_name.clone()));
        }
        let enough = self.sentinels.len() / 2 + 1;
        let mut deadline = Instant::now() + Self::LOOK_TIMEOUT;
        let mut best: Option<Master> = None;
        let mut failure: Option<StoreError> = None;
        let mut answered = 0;
        while answered < enough
            && let Ok(Some(joined)) = tokio::time::timeout_at(deadline, asking.join_next()).await
        {
            match joined {
                Ok(Ok(master)) => {
                    answered += 1;
                    deadline = deadline.min(Instant::now() + Self::SECOND_OPINION);
                    if best.as_ref().is_none_or(|best| best.epoch < master.epoch) {
                        best = Some(master);
                    }
                }
                Ok(Err(error)) => {
                    tracing::debug!(%error, "a sentinel did not name the master");
                    // What does not pass by itself says more than an address that nobody listens at.
                    if failure.as_ref().is_none_or(StoreError::is_transient) {
                        failure = Some(error);
                    }
                }
                Err(_panicked) => {}
            }
        }
        match best {
            Some(master) => Ok((master, enough <= answered)),
            None => Err(self.nobody("answers", failure)),
        }
    }

    /// The error where no sentinel named a master, which says why as far as `cause` tells.
    pub(super) fn nobody(&self, verb: &str, cause: Option<StoreError>) -> StoreError {
        match cause {
            Some(cause) if !cause.is_transient() => cause,
            cause => StoreError::Unavailable {
                operation: "find master",
                address: self.name.clone(),
                code: "NOMASTER".to_owned(),
                detail: self.nobody_detail(verb, cause.as_ref()),
            },
        }
    }

    fn nobody_detail(&self, verb: &str, cause: Option<&StoreError>) -> String {
        let shown = self.addresses.iter().take(Self::NAMED);
        let shown: Vec<&str> = shown.map(String::as_str).collect();
        let more = match self.addresses.len() - shown.len() {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        let why = cause.map_or_else(String::new, |cause| {
            format!("; last: {}", cause.with_causes())
        });
        format!(
            "no sentinel {verb}; start {}{more}, or correct the addresses{why}",
            shown.join(", ")
        )
    }
}

/// The epoch is asked for before the address: whoever is asked in the middle of a switch then has a new address with an
/// old epoch, never an old address with a new epoch, which would be believed.
pub(super) async fn ask(sentinel: Arc<Node>, master_name: String) -> Result<Master, StoreError> {
    let question = |subcommand| {
        let mut command = redis::cmd("SENTINEL");
        command.arg(subcommand).arg(&master_name);
        command
    };
    let (about, where_now) = (question("MASTER"), question("GET-MASTER-ADDR-BY-NAME"));
    let (operation, within) = ("find master", Inner::LOOK_TIMEOUT);
    let about = sentinel.ask(operation, &about, within).await;
    let (epoch, failover) = master::parse_about(sentinel.address(), &master_name, about)?;
    let where_now = sentinel.ask(operation, &where_now, within).await?;
    let address = master::parse_address(sentinel.address(), &master_name, where_now)?;
    Ok(Master {
        address,
        epoch,
        failover,
    })
}
