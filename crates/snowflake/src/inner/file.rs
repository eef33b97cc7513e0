//! What a generator does about its horizon file.

use std::sync::Arc;

use super::Inner;
use crate::{HorizonFileError, MintError, clock::millis, error::Reason, horizon_file::HorizonFile};

impl Inner {
    /// Raises the horizon in the file, if there is one and it comes near.
    pub(super) fn keep_file(&self) -> Result<(), MintError> {
        let Some(file) = &self.guards.file else {
            return Ok(());
        };
        // A child of a fork must not write.
        self.authority()?;
        let next = self.state.peek().ok_or(MintError::Closed)?;
        let next_ms = self.unit_time(self.state.fields().unit(next));
        let ahead = self.source.wall() + self.timeline().borrow();
        match file.keep(millis(next_ms.max(ahead))) {
            Ok(Some(horizon_ms)) => self.extend(None, horizon_ms),
            Ok(None) => {}
            Err(error @ HorizonFileError::Replaced { .. }) => return Err(self.fail_file(error)),
            // What was stored before still holds: it is an error only from that horizon on.
            Err(error) => {
                let horizon = self.state.fields().horizon(self.authority()?);
                if self.unit_time(horizon) <= next_ms.max(ahead) {
                    return Err(self.refuse(MintError::HorizonFile(Reason::new(Arc::new(error)))));
                }
            }
        }
        Ok(())
    }

    pub(super) fn look_at_file(&self) -> Result<(), HorizonFileError> {
        let file = self.guards.file.as_ref();
        file.map_or(Ok(()), HorizonFile::look)
    }

    /// As [`look_at_file`](Self::look_at_file), for a caller that holds no lock.
    pub(crate) fn check_file(&self) -> Result<(), MintError> {
        self.look_at_file().map_err(|error| self.fail_file(error))
    }

    pub(super) fn fail_file(&self, error: HorizonFileError) -> MintError {
        let is_replaced = matches!(error, HorizonFileError::Replaced { .. });
        let reason = Reason::new(Arc::new(error));
        if is_replaced {
            self.stop(reason.clone());
            return self.refuse(MintError::HorizonFileReplaced(reason));
        }
        self.state.shut();
        self.refuse(MintError::HorizonFile(reason))
    }
}
