//! The images that are being served.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use serde_json::Value;
use store::serve::{Denied, WAITING_THREADS};
use tokio::sync::Semaphore;

use super::{
    packed::Packed,
    refusal::RegistryRefusal,
    route::AnyDigest,
    source::{ImageSource, SourceError},
    unknown_names::UnknownNames,
};
use crate::sign::{ImageSecretKey, documents_about};

/// Offers that are remembered: each keeps its closure from being collected.
const REMEMBERED: usize = 256;

/// The images that are being served.
pub(super) struct Images {
    source: Box<dyn ImageSource>,
    /// Who signs what is made.
    key: Option<ImageSecretKey>,
    /// Given to those who wait for the source, so that what is there is answered meanwhile.
    asks: Semaphore,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Names that somebody is asking for now, with the number of those who wait for the same.
    asking: BTreeMap<String, Asking>,
    /// The offers that were made, the newest last.
    made: VecDeque<(String, Arc<Packed>)>,
    unknown: UnknownNames,
}

#[derive(Default)]
struct Asking {
    waiting: usize,
    answer: Option<Result<Arc<Packed>, SourceError>>,
}

impl Images {
    pub(super) fn new(source: Box<dyn ImageSource>, key: Option<ImageSecretKey>) -> Self {
        Self {
            source,
            key,
            asks: Semaphore::new(WAITING_THREADS),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Returns what there is under a name now. Who asks while somebody asks for the same gets the same answer. Blocks.
    pub(super) fn current(&self, name: &str) -> Result<Arc<Packed>, RegistryRefusal> {
        let _ask = self.asks.try_acquire().map_err(|_| Denied::Busy)?;
        let mut state = self.state();
        if let Some(asking) = state.asking.get_mut(name) {
            asking.waiting += 1;
            loop {
                let Some(asking) = state.asking.get_mut(name) else {
                    // The source panicked.
                    return Err(Denied::Stopped.into());
                };
                if let Some(answer) = asking.answer.clone() {
                    asking.waiting -= 1;
                    self.changed.notify_all();
                    return answer.map_err(RegistryRefusal::from);
                }
                state = self.wait(state);
            }
        }
        state.asking.insert(name.to_owned(), Asking::default());
        drop(state);
        let asks = Asks { images: self, name };
        let answer = self.make(name);
        let mut state = self.state();
        if let Some(asking) = state.asking.get_mut(name) {
            asking.answer = Some(answer.clone());
        }
        self.changed.notify_all();
        while state.asking.get(name).is_some_and(|one| one.waiting > 0) {
            state = self.wait(state);
        }
        match &answer {
            Ok(packed) => state.remember(name, packed),
            Err(SourceError::Unknown { message }) => {
                state.unknown.remember(name, message, Instant::now());
            }
            Err(SourceError::Failed { .. }) => {}
        }
        drop(state);
        drop(asks);
        answer.map_err(RegistryRefusal::from)
    }

    fn make(&self, name: &str) -> Result<Arc<Packed>, SourceError> {
        let offer = self.source.offer(name)?;
        let packed = Packed::new(offer).map_err(|error| SourceError::Failed {
            message: store::net::chain(&error),
        })?;
        Ok(Arc::new(packed))
    }

    /// Returns what has this manifest or blob, if a name has or had it; the newest of those that were served, otherwise what there is now. Blocks.
    pub(super) fn with(
        &self,
        name: &str,
        digest: &AnyDigest,
        has: fn(&Packed, &AnyDigest) -> bool,
    ) -> Result<Option<Arc<Packed>>, RegistryRefusal> {
        let known = self.known(name, digest, has);
        if known.is_some() {
            return Ok(known);
        }
        if let Some(unknown) = self.state().unknown.find(name, Instant::now()) {
            return Err(unknown.into());
        }
        let current = self.current(name)?;
        Ok(has(&current, digest).then_some(current))
    }

    /// Returns what there is about the manifest with this digest, as descriptors; made once for each image. Blocks.
    pub(super) fn referrers(
        &self,
        name: &str,
        subject: &AnyDigest,
    ) -> Result<Vec<Value>, RegistryRefusal> {
        let Some(packed) = self.with(name, subject, Packed::has_manifest)? else {
            return Ok(Vec::new());
        };
        let Some(about) = packed.form(subject) else {
            return Ok(Vec::new());
        };
        if about.documents.get().is_none() {
            let _ask = self.asks.try_acquire().map_err(|_| Denied::Busy)?;
            let attachments = match about.is_index {
                // All that is said is said about the images in it.
                true => Vec::new(),
                false => self.source.documents(name, about.manifest.digest)?,
            };
            let made = documents_about(&about.manifest, &attachments, self.key.as_ref());
            // Who was faster has made the same.
            about.documents.set(made).ok();
        }
        let documents = about.documents.get().into_iter().flatten();
        Ok(documents
            .map(|document| serde_json::json!(document.listed))
            .collect())
    }

    /// Returns what of that which was served has this manifest or blob, the newest. Waits for nobody.
    pub(super) fn known(
        &self,
        name: &str,
        digest: &AnyDigest,
        has: fn(&Packed, &AnyDigest) -> bool,
    ) -> Option<Arc<Packed>> {
        self.state().find(name, digest, has)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a name out of those that are being asked for, also when the source panics.
struct Asks<'a> {
    images: &'a Images,
    name: &'a str,
}

impl Drop for Asks<'_> {
    fn drop(&mut self) {
        self.images.state().asking.remove(self.name);
        self.images.changed.notify_all();
    }
}

impl State {
    fn remember(&mut self, name: &str, packed: &Arc<Packed>) {
        let is_same =
            |(known, old): &(String, Arc<Packed>)| known == name && old.digest() == packed.digest();
        // Of the same image the older one is kept: it has the documents that were made.
        let known = self.made.iter().position(is_same);
        let known = known.and_then(|at| self.made.remove(at));
        let newest = known.unwrap_or_else(|| (name.to_owned(), Arc::clone(packed)));
        self.made.push_back(newest);
        if self.made.len() > REMEMBERED {
            self.made.pop_front();
        }
    }

    fn find(
        &self,
        name: &str,
        digest: &AnyDigest,
        has: fn(&Packed, &AnyDigest) -> bool,
    ) -> Option<Arc<Packed>> {
        let mut newest = self.made.iter().rev();
        let found = newest.find(|(known, packed)| known == name && has(packed, digest));
        found.map(|(_, packed)| Arc::clone(packed))
    }
}

impl std::fmt::Debug for Images {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Images").finish_non_exhaustive()
    }
}
