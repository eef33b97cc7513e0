//! Writes that replicas acknowledge, in a cluster: each node waits for its own.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{ClusterStore, Obstacle, answered, obstacle_in, slot_of};
use crate::store::{
    Command, Confirmed, StoreError,
    redis::{
        exchange::Outcome,
        node::{Node, Patience, left},
    },
};

impl ClusterStore {
    pub(super) async fn confirm_by_node(
        &self,
        writes: &[Command],
        replicas: u32,
        within: Duration,
    ) -> Result<Confirmed, StoreError> {
        let deadline = Instant::now() + within;
        let mut outcomes: Vec<Option<Outcome>> = vec![None; writes.len()];
        let mut groups: Vec<(Arc<Node>, Vec<usize>)> = Vec::new();
        for (index, write) in writes.iter().enumerate() {
            match self.node_for(slot_of(write), deadline).await {
                Ok(node) => match groups.iter_mut().find(|(it, _)| Arc::ptr_eq(it, &node)) {
                    Some((_, indices)) => indices.push(index),
                    None => groups.push((node, vec![index])),
                },
                Err(error) => outcomes[index] = Some(Err(error)),
            }
        }
        let groups = groups.into_iter().map(|(node, indices)| async move {
            let group: Vec<&Command> = indices.iter().map(|&index| &writes[index]).collect();
            let patience = Patience::Whole(left(deadline));
            let confirmed = node.confirm(&group, replicas, patience).await;
            self.heed(&node, &confirmed);
            (indices, confirmed)
        });
        let mut fewest: Option<u32> = None;
        let mut failure = None;
        for (indices, confirmed) in futures_util::future::join_all(groups).await {
            let (replies, found) = match confirmed {
                Ok((replies, found)) => (replies, Some(found)),
                Err(error) => {
                    failure.get_or_insert_with(|| error.clone());
                    (vec![Err(error); indices.len()], None)
                }
            };
            // A node that executed nothing has nothing to be acknowledged.
            if replies.iter().any(Result::is_ok)
                && let Some(found) = found
            {
                fewest = Some(fewest.map_or(found, |fewest| fewest.min(found)));
            }
            for (index, reply) in indices.into_iter().zip(replies) {
                outcomes[index] = Some(reply);
            }
        }
        match failure {
            Some(error) if fewest.is_none() => Err(error),
            _ => Ok((answered(outcomes, writes.iter()), fewest.unwrap_or(0))),
        }
    }

    /// What is to be learned about the topology. A slot that moved meanwhile is an error like any other: nothing was
    /// confirmed.
    fn heed(&self, node: &Arc<Node>, confirmed: &Result<Confirmed, StoreError>) {
        let errors: Vec<&StoreError> = match confirmed {
            Ok((replies, _)) => replies.iter().filter_map(|it| it.as_ref().err()).collect(),
            Err(error) => vec![error],
        };
        for error in &errors {
            if let Some(Obstacle::Elsewhere(found)) = obstacle_in(error)
                && found.for_good
            {
                self.state().topology.moved(found.slot, found.address);
            }
        }
        self.note_failures(node, errors);
    }
}
