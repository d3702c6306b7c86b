//! From the name of a repository to images.
//!
//! `curl/jq` is the image that the project declares by that name, or the packages or declared images `curl` and `jq` in one, `debian/nginx/curl` packages of Debian, and a first component `amd64` or `arm64` says
//! what it is for.

use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};

use pack::attest::Parameters;
use pack::oci::{Digest, Timestamp};
use pack::serve::{ImageSource, Offer, SourceError};
use pack::sign::Attachment;
use pack::{Image, PackOptions};
use recipes::lang::Evaluator;
use recipes::model::Platform;
use store::LocalStore;
use thiserror::Error;

use crate::attest::Attester;
use crate::build_options::RealiseOptions;
use crate::context::Context;
use crate::error::CommandError;
use crate::image::spec_of;
use crate::realise::{Realised, realise};
use crate::select::{Want, declared_image, select_all};
use crate::selection::Selection;

/// A question about a name, and where the answer goes.
pub(super) struct Asked {
    name: String,
    what: What,
}

/// What is asked.
enum What {
    /// Which images there are.
    Images(Sender<Result<Offer, SourceError>>),
    /// What is said about one of them.
    Documents(Digest, Sender<Result<Vec<Attachment>, SourceError>>),
}

impl Asked {
    /// Answers it. Who does not wait any more is not answered.
    pub(super) fn answer(self, offers: &Offers<'_>) {
        match self.what {
            What::Images(answer) => answer.send(offers.offer(&self.name)).ok(),
            What::Documents(manifest, answer) => {
                answer.send(offers.documents(&self.name, manifest)).ok()
            }
        };
    }
}

/// Hands questions of a server to those who have the command's context.
#[derive(Debug)]
pub(super) struct Channel(Mutex<Sender<Asked>>);

impl Channel {
    pub(super) const fn new(sender: Sender<Asked>) -> Self {
        Self(Mutex::new(sender))
    }
}

impl Channel {
    fn ask<T>(
        &self,
        name: &str,
        what: impl FnOnce(Sender<Result<T, SourceError>>) -> What,
    ) -> Result<T, SourceError> {
        let stopped = || SourceError::Failed {
            message: "the server is being stopped".to_owned(),
        };
        let (answer, receiver) = mpsc::channel();
        let asked = Asked {
            name: name.to_owned(),
            what: what(answer),
        };
        let sender = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        sender.send(asked).map_err(|_| stopped())?;
        receiver.recv().map_err(|_| stopped())?
    }
}

impl ImageSource for Channel {
    fn offer(&self, name: &str) -> Result<Offer, SourceError> {
        self.ask(name, What::Images)
    }

    fn documents(&self, name: &str, manifest: Digest) -> Result<Vec<Attachment>, SourceError> {
        self.ask(name, |answer| What::Documents(manifest, answer))
    }
}

/// An image, and what it was made of.
struct Offered {
    image: Image<'static>,
    realised: Realised,
    targets: Vec<String>,
}

/// What makes images of names.
pub(super) struct Offers<'a> {
    pub(super) context: &'a Context,
    pub(super) store: &'a LocalStore,
    pub(super) platforms: Vec<Platform>,
    pub(super) options: PackOptions,
}

impl Offers<'_> {
    /// Builds what a name asks for.
    fn offer(&self, name: &str) -> Result<Offer, SourceError> {
        let images = self.images(name)?.into_iter();
        Ok(Offer {
            images: images.map(|offered| offered.image).collect(),
        })
    }

    /// Makes the bills of materials of an image and its provenance, as a push attaches them; none if the name has become another image meanwhile.
    fn documents(&self, name: &str, manifest: Digest) -> Result<Vec<Attachment>, SourceError> {
        let failed = |error: CommandError| SourceError::Failed {
            message: text_of(&error),
        };
        for offered in self.images(name)? {
            let Offered {
                image,
                realised,
                targets,
            } = offered;
            // In the words in which the client has got it.
            let image = image.with_manifest(manifest);
            let Some(image) = image.map_err(|error| failed(error.into()))? else {
                continue;
            };
            let options = [("compression", self.options.compression.to_string())];
            let parameters = Parameters {
                targets,
                platforms: vec![image.platform().to_string()],
                options: options.map(|(name, value)| (name.to_owned(), value)).into(),
            };
            let created = Timestamp::default();
            let attester = Attester::unsigned(parameters, created, self.context);
            let made = attester.and_then(|attester| {
                attester.attachments(self.context, self.store, &image, &realised.paths, None)
            });
            return made.map_err(failed);
        }
        Ok(Vec::new())
    }

    /// Makes the image of a name for each platform.
    fn images(&self, name: &str) -> Result<Vec<Offered>, SourceError> {
        let (platform, targets) = parse(name).ok_or_else(|| SourceError::Unknown {
            message: format!("`{name}` names no package"),
        })?;
        let only: Vec<Platform> = platform.into_iter().collect();
        let platforms = if only.is_empty() {
            &self.platforms
        } else {
            &only
        };
        let mut images = Vec::with_capacity(platforms.len());
        for platform in platforms {
            images.push(self.image(*platform, &targets)?);
        }
        Ok(images)
    }

    /// Looks up an image that the project calls as the whole name is, else each component of it.
    fn select(
        &self,
        evaluator: &Evaluator,
        targets: &[String],
    ) -> Result<Vec<Selection>, CommandError> {
        match declared_image(self.context, evaluator, &targets.join("/"))? {
            Some(image) => Ok(vec![Selection::Image(Box::new(image))]),
            None => select_all(self.context, evaluator, targets, Want::Image),
        }
    }

    fn image(&self, platform: Platform, targets: &[String]) -> Result<Offered, SourceError> {
        let evaluator = self.context.evaluator_for(platform);
        let selections = self.select(&evaluator, targets);
        let selections = selections.map_err(|error| SourceError::Unknown {
            message: text_of(&error),
        })?;
        let failed = |error: CommandError| SourceError::Failed {
            message: text_of(&error),
        };
        let realised = realise(
            self.context,
            self.store,
            &selections,
            &RealiseOptions::default(),
        );
        let realised = realised.map_err(failed)?;
        let title = selections.first().map(Selection::title).unwrap_or_default();
        let spec = match selections.as_slice() {
            [Selection::Image(image)] if image.base.is_some() => {
                Err(CommandError::failed(OnBase(image.name.clone())))
            }
            selections => spec_of(selections, &title, platform, &realised.paths),
        };
        let image = Image::new(
            self.store,
            &realised.paths,
            &spec.map_err(failed)?,
            &self.options,
            &|_| (),
        );
        Ok(Offered {
            image: image.map_err(|error| failed(error.into()))?,
            realised,
            targets: targets.to_vec(),
        })
    }
}

/// Layers that are not in the store cannot be made again from it.
#[derive(Debug, Error)]
#[error("`{0}` lies on a base image, whose layers are only where the base is: pack and push it")]
struct OnBase(String);

/// What a user here would read.
fn text_of(error: &CommandError) -> String {
    let text = error.render();
    text.strip_prefix("error: ").unwrap_or(&text).to_owned()
}

/// Returns the platform that a name asks for, and its targets.
fn parse(name: &str) -> Option<(Option<Platform>, Vec<String>)> {
    let mut components: Vec<&str> = name.split('/').collect();
    let platform = match *components.first()? {
        "amd64" => Some(Platform::X86_64Linux),
        "arm64" => Some(Platform::Aarch64Linux),
        _ => None,
    };
    if platform.is_some() {
        components.remove(0);
    }
    let targets = match components.split_first()? {
        (&"debian", []) => return None,
        (&"debian", names) => vec![format!("debian:{}", names.join(","))],
        _ => components.into_iter().map(str::to_owned).collect(),
    };
    Some((platform, targets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_targets_for_a_platform() {
        for (name, expected) in [
            ("curl", Some((None, vec!["curl"]))),
            ("curl/jq", Some((None, vec!["curl", "jq"]))),
            ("debian/nginx/curl", Some((None, vec!["debian:nginx,curl"]))),
            (
                "arm64/hello",
                Some((Some(Platform::Aarch64Linux), vec!["hello"])),
            ),
            (
                "arm64/debian/jq",
                Some((Some(Platform::Aarch64Linux), vec!["debian:jq"])),
            ),
            ("amd64", None),
            ("debian", None),
        ] {
            let expected = expected.map(|(platform, targets)| {
                (
                    platform,
                    targets.into_iter().map(str::to_owned).collect::<Vec<_>>(),
                )
            });
            assert_eq!(parse(name), expected, "{name}");
        }
    }
}
