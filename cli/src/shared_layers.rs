//! What layers became on other machines, by way of the caches.

use std::fs;
use std::sync::{Mutex, PoisonError};
use std::thread;

use pack::Image;
use pack::layer::LAYER_OUTPUT;
use store::cache::pull::{PullError, Puller};
use store::net::chain;
use store::{LocalStore, ObjectId, ResolvedDigest, StorePath};

use crate::caches::open_caches;
use crate::clock::seconds_now;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};

/// Questions at the same time.
const QUESTIONS: usize = 8;

/// A layer, and the store object that says what it became.
type Found = (ResolvedDigest, StorePath, ObjectId);

/// Has the images know what layers became that were never made here, as far as the caches that are asked know it and are believed. That only saves work, so what fails is told with `-v`.
pub(crate) fn learn_layers(
    context: &Context,
    store: &LocalStore,
    images: &mut [Image<'_>],
) -> Result<(), CommandError> {
    let unknown: Vec<ResolvedDigest> = images.iter().flat_map(Image::unknown_layers).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let sources = open_caches(context)?;
    let policy = context.settings().trust.policy();
    let puller = Puller::new(store, &sources, policy, seconds_now());
    // Kept until they are read.
    let lease = store.lease().map_err(CommandError::failed)?;
    let found = match find(context, store, &puller, &unknown, &lease) {
        Ok(found) => found,
        Err(error @ PullError::Interrupted) => {
            return Err(CommandError::new(ExitStatus::Interrupted, error));
        }
        Err(error) => {
            let why = chain(&error);
            let printer = context.printer();
            printer.detail(&format!("what layers became elsewhere is not known: {why}"));
            return Ok(());
        }
    };
    let mut learned = 0;
    for (key, path, _) in found {
        if let Ok(record) = fs::read(store.real_path(&path)) {
            for image in images.iter_mut() {
                learned += usize::from(image.tell_layer(&key, &record));
            }
        }
    }
    if learned > 0 {
        let printer = context.printer();
        printer.detail(&format!("caches know {learned} of the image's layers"));
    }
    Ok(())
}

/// Finds what is believed of layers, and makes the store objects valid that say it.
fn find(
    context: &Context,
    store: &LocalStore,
    puller: &Puller<'_>,
    unknown: &[ResolvedDigest],
    lease: &store::Lease,
) -> Result<Vec<Found>, PullError> {
    let found = Mutex::new(Vec::new());
    let collected = &found;
    let share = unknown.len().div_ceil(QUESTIONS).max(1);
    thread::scope(|scope| {
        let asked: Vec<_> = unknown
            .chunks(share)
            .map(|keys| {
                scope.spawn(move || -> Result<(), PullError> {
                    for key in keys {
                        let one = find_one(store, puller, key)?;
                        let mut found = collected.lock().unwrap_or_else(PoisonError::into_inner);
                        found.extend(one.map(|(path, id)| (*key, path, id)));
                    }
                    Ok(())
                })
            })
            .collect();
        // A panic of a thread is passed on when the scope ends.
        let results = asked.into_iter().filter_map(|thread| thread.join().ok());
        results.collect::<Result<(), PullError>>()
    })?;
    let found: Vec<Found> = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let wanted: Vec<(StorePath, ObjectId)> = found
        .iter()
        .map(|(_, path, id)| (path.clone(), *id))
        .collect();
    puller.pull(&wanted, lease, &|_| (), context.cancel())?;
    Ok(found)
}

/// What is valid here came from a cache and was believed, or was made here.
fn find_one(
    store: &LocalStore,
    puller: &Puller<'_>,
    key: &ResolvedDigest,
) -> Result<Option<(StorePath, ObjectId)>, PullError> {
    let here = store.find_realisations(key)?;
    if let Some(known) = here.into_iter().find(|one| one.output == LAYER_OUTPUT) {
        return Ok(Some((known.path, known.object)));
    }
    let told = puller.find_realisations(key)?.into_iter();
    let mut told = told.map(|told| told.realisation);
    let told = told.find(|one| one.output == LAYER_OUTPUT);
    Ok(told.map(|one| (one.path, one.object)))
}
