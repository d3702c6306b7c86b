//! The same work for several things at once.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use super::PushError;
use crate::layer::LayerError;

/// Why work ended early.
#[derive(Debug)]
pub(crate) enum Halt<E> {
    /// Something failed.
    Failed(E),
    /// Something else failed first.
    Stopped,
}

impl<E> From<E> for Halt<E> {
    fn from(error: E) -> Self {
        Self::Failed(error)
    }
}

impl From<LayerError> for Halt<PushError> {
    fn from(error: LayerError) -> Self {
        Self::Failed(error.into())
    }
}

/// What is done for one job.
type Work<'w, T, E> = dyn Fn(&T, &AtomicBool) -> Result<(), Halt<E>> + Sync + 'w;

/// Does `work` for each of `jobs` on up to `threads` threads. Once one has failed, none is begun, and those at work see the flag that they are given; the
/// first failure is returned.
pub(crate) fn for_each<T: Sync, E: Send>(
    jobs: &[T],
    threads: usize,
    work: &Work<'_, T, E>,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let failure = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..threads.min(jobs.len()) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        return;
                    };
                    if let Err(Halt::Failed(error)) = work(job, &stop) {
                        stop.store(true, Ordering::Relaxed);
                        failure
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .get_or_insert(error);
                    }
                }
            });
        }
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::PlanError;

    #[test]
    fn everything_is_done_once_and_nothing_more_after_a_failure() {
        let jobs: Vec<usize> = (0..100).collect();
        let done = Mutex::new(Vec::new());
        let result = for_each::<_, PushError>(&jobs, 8, &|&job, _| {
            done.lock().unwrap().push(job);
            Ok(())
        });
        assert!(result.is_ok());
        let mut done = done.into_inner().unwrap();
        done.sort_unstable();
        assert_eq!(done, jobs);

        let count = AtomicUsize::new(0);
        let result = for_each::<_, PushError>(&jobs, 1, &|&job, _| {
            count.fetch_add(1, Ordering::Relaxed);
            if job == 3 {
                return Err(LayerError::Plan(PlanError::LayerCount { asked: 3 }).into());
            }
            Ok(())
        });
        assert!(matches!(
            result,
            Err(PushError::Layer(LayerError::Plan(PlanError::LayerCount {
                asked: 3
            })))
        ));
        assert_eq!(count.into_inner(), 4);
    }
}
