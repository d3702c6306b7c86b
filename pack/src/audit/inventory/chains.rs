//! Every way by which a component comes in.

use super::{Edge, Inventory};
use crate::audit::Step;

/// More chains than anybody reads; a closure can have more of them than there are atoms.
pub const MAX_CHAINS: usize = 200;

/// Chains to some components.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chains {
    /// Each from what was asked for to one of the components, the shortest first.
    pub chains: Vec<Vec<Step>>,
    /// Whether there are more.
    pub more: bool,
}

impl Inventory {
    /// Returns the ways from what was asked for to the components that `wanted` picks, the shortest first, at most [`MAX_CHAINS`].
    #[must_use]
    pub fn chains(&self, wanted: &dyn Fn(usize) -> bool) -> Chains {
        let useful = self.leading_to(wanted);
        let outgoing = self.outgoing();
        let mut found: Vec<Vec<Step>> = Vec::new();
        // Breadth first, so that the limit cuts off the long ones.
        let mut front: Vec<Vec<(usize, Option<&Edge>)>> =
            self.roots.iter().map(|root| vec![(*root, None)]).collect();
        front.retain(|path| {
            path.last()
                .is_some_and(|(unit, _)| useful.get(*unit) == Some(&true))
        });
        let mut more = false;
        while !front.is_empty() {
            let mut next = Vec::new();
            for path in front {
                let Some((unit, _)) = path.last().copied() else {
                    continue;
                };
                if wanted(unit) {
                    if found.len() == MAX_CHAINS {
                        return Chains {
                            chains: found,
                            more: true,
                        };
                    }
                    found.push(
                        path.iter()
                            .map(|(unit, edge)| self.step(*unit, *edge))
                            .collect(),
                    );
                }
                for edge in outgoing.get(unit).into_iter().flatten() {
                    let is_new = !path.iter().any(|(unit, _)| *unit == edge.to);
                    if is_new && useful.get(edge.to) == Some(&true) {
                        let mut longer = path.clone();
                        longer.push((edge.to, Some(edge)));
                        next.push(longer);
                    }
                }
            }
            // The paths of one length may be far more than the chains that are shown.
            if next.len() > MAX_CHAINS * 16 {
                next.truncate(MAX_CHAINS * 16);
                more = true;
            }
            front = next;
        }
        Chains {
            chains: found,
            more,
        }
    }

    /// From which components one that `wanted` picks can be reached.
    fn leading_to(&self, wanted: &dyn Fn(usize) -> bool) -> Vec<bool> {
        let mut incoming: Vec<Vec<usize>> = vec![Vec::new(); self.units.len()];
        for edge in &self.edges {
            if let Some(list) = incoming.get_mut(edge.to) {
                list.push(edge.from);
            }
        }
        let mut useful = vec![false; self.units.len()];
        let mut pending: Vec<usize> = (0..self.units.len()).filter(|unit| wanted(*unit)).collect();
        while let Some(unit) = pending.pop() {
            if let Some(slot) = useful.get_mut(unit).filter(|slot| !**slot) {
                *slot = true;
                pending.extend(incoming.get(unit).into_iter().flatten());
            }
        }
        useful
    }
}
