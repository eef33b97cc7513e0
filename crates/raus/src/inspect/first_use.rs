//! A namespace is declared to be new.

use std::time::Duration;

use coord_core::{
    heartbeat::Heartbeat,
    history::{self, Mode, Terms},
    store::{Reply, StoreError},
};

use super::{History, InspectError, Inspector, reply};
use crate::scripts;

/// What became of the declaration that a namespace is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FirstUse {
    /// Its history begins now; whoever asks for a slot gets one at once.
    Begun,
    /// It has a history already: nothing was changed.
    Known(History),
    /// It was in use before: slots are on record without a history, or somebody was heard who holds one. A quarantine has
    /// begun.
    Lost {
        /// How long nothing new is granted.
        wait: Duration,
    },
}

/// What the script answers.
#[derive(Debug)]
pub(super) enum Answer {
    Created,
    Exists(History),
    Lost(Duration),
    Listen(String),
}

impl Inspector {
    /// Declares the first use of a namespace, so that its history is known before the first acquisition, and clients may
    /// insist on one ([`expect_history`](crate::Builder::expect_history)). Listens for living holders first, for as long as
    /// `discovery` says.
    ///
    /// # Errors
    ///
    /// [`InspectError`]; after a timeout the history may have begun all the same.
    ///
    /// # Cancel safety
    ///
    /// The history may have begun or not.
    pub async fn init(&self) -> Result<FirstUse, InspectError> {
        let mut mode = Mode::Ask;
        // More than one answer to listen for only if the server forgets everything meanwhile, again and again.
        for _ in 0..LISTENS {
            let token = match self.declare(&mode).await? {
                Answer::Created => return Ok(FirstUse::Begun),
                Answer::Exists(History::Quarantine { .. }) => {
                    let history = self.read_page(&[*self.range.start()]).await?.history;
                    return Ok(FirstUse::Known(history));
                }
                Answer::Exists(history) => return Ok(FirstUse::Known(history)),
                Answer::Lost(wait) => return Ok(FirstUse::Lost { wait }),
                Answer::Listen(token) => token,
            };
            let channel = self.identity.keys.broadcast();
            let within = Heartbeat::RESPONSE_TIMEOUT;
            let store = &**self.store();
            let heard = history::listen(store, &channel, self.discovery, within).await?;
            mode = heard.mode(token);
        }
        Err(StoreError::unexpected("init", &Reply::Nil).into())
    }

    async fn declare(&self, mode: &Mode) -> Result<Answer, InspectError> {
        // The operator says that there was no use before; an option of clients must not contradict.
        let mut policy = self.identity.policy;
        policy.expect_history = false;
        let args = vec![policy.as_arg(Terms::default()), mode.as_arg()];
        let keys = vec![self.identity.keys.slots()];
        reply::parse_init(&self.ask(&scripts::INIT, keys, args).await?)
    }
}

const LISTENS: usize = 4;
