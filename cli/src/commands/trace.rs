//! `pith trace`: from a file back to its sources.

use std::fmt::Write as _;

use clap::Args;
use pack::attest::DocumentFormat;
use pack::audit::Part;
use pack::audit::trace::{
    Attested, Background, LinkedObject, Located, Outside, Stored, StoredKind, Surroundings,
    TraceError, Wanted, find, find_stored,
};
use pack::existing::ExistingImage;
use pack::oci::Digest;
use serde::Serialize;
use store::facts::LinkKind;
use store::{LocalStore, StorePath};
use thiserror::Error;

use super::image::ImagePlace;
use crate::contents::Contents;
use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::facts::gather;
use crate::output::plural;
use crate::registry::RegistryArgs;

/// So many members of an archive are named without `--json`.
const SHOWN_MEMBERS: usize = 3;

/// Show where a file of an image comes from: layer, store path, what was linked into it, recipe, sources, license
///
/// What the store on this machine has recorded is shown; of an image whose packages it does not have, what is attached to it, or what it says of itself.
#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// `IMAGE:/path` or `TARGET:/path`; or sha256:… of a file, a source, a patch or a layer
    #[arg(value_name = "FILE")]
    file: String,
    /// With sha256:… of a file, the image or target that it is in; without, all that the store has recorded is looked through
    #[arg(value_name = "TARGET|IMAGE")]
    subject: Option<String>,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// What was asked for is no file of anything.
#[derive(Debug, Error)]
enum Asked {
    #[error("`{0}` names no file: write `IMAGE:/path`, `TARGET:/path`, or `sha256:…`")]
    NoFile(String),
    #[error("nothing that the store has recorded is `{0}`")]
    Nowhere(Digest),
}

#[derive(Debug, Serialize)]
struct Report {
    files: Vec<Traced>,
}

#[derive(Debug, Serialize)]
struct Traced {
    #[serde(flatten)]
    at: Located,
    /// What it is of where it lies at no store path.
    #[serde(skip_serializing_if = "Option::is_none")]
    outside: Option<Outside>,
    /// The line of the recipe that asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    asked_at: Option<String>,
    /// Null where no store path has it.
    from: Option<Background>,
}

/// What is asked for: something anywhere in the store, or in one image.
enum Question {
    Stored(Digest),
    Within(String, Wanted),
}

/// Finds the file and shows what is known of it.
pub(crate) fn trace(args: &TraceArgs, context: &Context) -> Result<(), CommandError> {
    let question = asked(args)?;
    let store = context.open_store()?;
    let (subject, wanted) = match question {
        Question::Stored(digest) => return trace_stored(context, &store, digest),
        Question::Within(subject, wanted) => (subject, wanted),
    };
    let contents = Contents::find(&subject, &args.registry, context, &store)?;
    let image = contents.open()?;
    let found = find(&image, &wanted).map_err(|error| of_directory(error, &subject))?;
    let surroundings = match found.iter().all(|at| at.object.is_some()) {
        true => None,
        false => Some(Surroundings::load(&store, &image).map_err(failed)?),
    };
    let bill = image.bill().map_err(CommandError::from)?;
    let mut attested = None;
    let mut files = Vec::with_capacity(found.len());
    for mut at in found {
        let surroundings = surroundings.as_ref().filter(|_| at.object.is_none());
        let outside = surroundings.map(|around| around.find(&at, &wanted));
        let outside = outside.transpose().map_err(failed)?;
        if let Some(Outside::Package { object, file }) = &outside {
            (at.object, at.file) = (Some(object.clone()), Some(file.clone()));
        }
        let asked_at = (outside == Some(Outside::Asked)).then(|| contents.declared());
        let asked_at = asked_at.flatten().map(str::to_owned);
        let file = at.file.as_deref().unwrap_or_default();
        let known = match &at.object {
            Some(object) => recorded(context, &store, object)?,
            None => None,
        };
        let from = match known {
            Some(part) => Some(Background::of(&part, file)),
            None => {
                if attested.is_none() {
                    attested = Some(fetch_attested(&contents, &image)?);
                }
                let of = |object| attested.as_ref().and_then(|it| it.background(object, file));
                let said = at.object.as_ref().and_then(of);
                said.or_else(|| {
                    let mut packages = bill.iter();
                    let package = packages.find(|one| Some(&one.path) == at.object.as_ref());
                    package.map(|package| Background::of_bill(package, file))
                })
            }
        };
        files.push(Traced {
            at,
            outside,
            asked_at,
            from,
        });
    }
    let printer = context.printer();
    if printer.is_json() {
        return Ok(printer.json(&Report { files })?);
    }
    for file in &files {
        printer.result(&text(file))?;
    }
    Ok(())
}

/// Reads what is attached to an image that is in a registry.
fn fetch_attested(
    contents: &Contents,
    image: &ExistingImage<'_>,
) -> Result<Attested, CommandError> {
    let Contents::Existing(ImagePlace::Registry(place)) = contents else {
        return Ok(Attested::default());
    };
    let (_, repository) = place.as_ref();
    let bill = image.fetch_bill(repository, None, DocumentFormat::Spdx2)?;
    let provenance = image.fetch_provenance(repository)?;
    Ok(Attested::new(bill.as_deref(), provenance.as_ref()))
}

/// Shows what a digest is of, in all that the store has.
fn trace_stored(context: &Context, store: &LocalStore, digest: Digest) -> Result<(), CommandError> {
    let matches = find_stored(store, digest).map_err(failed)?;
    let printer = context.printer();
    if matches.unrecorded > 0 {
        let objects = plural(matches.unrecorded, "store path");
        printer.detail(&format!(
            "of {objects} it is not recorded which files they have"
        ));
    }
    if matches.found.is_empty() {
        let error = CommandError::new(ExitStatus::No, Asked::Nowhere(digest));
        return Err(error.hint(format!(
            "`pith trace {digest} IMAGE` looks for it in an image"
        )));
    }
    if printer.is_json() {
        return Ok(printer.json(&matches)?);
    }
    for stored in &matches.found {
        printer.result(&stored_text(stored))?;
    }
    Ok(())
}

/// What is asked for, and of what.
fn asked(args: &TraceArgs) -> Result<Question, CommandError> {
    let usage = |error| CommandError::new(ExitStatus::Usage, error);
    if let Ok(digest) = args.file.parse::<Digest>() {
        return Ok(match &args.subject {
            Some(subject) => Question::Within(subject.clone(), Wanted::Contents(digest)),
            None => Question::Stored(digest),
        });
    }
    // `docker://` has such a place too, and no path begins with two slashes.
    let places = args.file.match_indices(":/").map(|(at, _)| at);
    let place = places
        .filter(|at| !args.file[at + 1..].starts_with("//"))
        .last();
    match (place, &args.subject) {
        (Some(at), None) if at > 0 => {
            let (subject, path) = args.file.split_at(at);
            let path = path.trim_start_matches(':').as_bytes().to_vec();
            Ok(Question::Within(subject.to_owned(), Wanted::Path(path)))
        }
        _ => Err(usage(Asked::NoFile(args.file.clone()))),
    }
}

/// Names files that may be asked for in the place of a directory.
fn of_directory(error: TraceError, subject: &str) -> CommandError {
    let hint = match &error {
        TraceError::Directory { has, .. } if has.is_empty() => Some("it is empty".to_owned()),
        TraceError::Directory { has, .. } => {
            let shown: Vec<String> = has
                .iter()
                .map(|path| format!("`pith trace {subject}:{path}`"))
                .collect();
            Some(format!(
                "ask for something in it, such as {}",
                shown.join(", ")
            ))
        }
        _ => None,
    };
    let error = failed(error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn failed(error: TraceError) -> CommandError {
    let status = match error {
        TraceError::Layer { .. } => ExitStatus::Damaged,
        TraceError::NotThere { .. }
        | TraceError::Dangling { .. }
        | TraceError::Directory { .. } => ExitStatus::No,
        TraceError::Record(_) => ExitStatus::Damaged,
        TraceError::Image(error) => return error.into(),
        TraceError::Db(_) => ExitStatus::Failed,
    };
    CommandError::new(status, error)
}

/// What is recorded of a store path, here or in a cache.
fn recorded(
    context: &Context,
    store: &LocalStore,
    path: &StorePath,
) -> Result<Option<Part>, CommandError> {
    let Some(info) = store.path_info(path)? else {
        return Ok(None);
    };
    let gathered = gather(context, store, std::slice::from_ref(&info))?;
    let mut parts = gathered.parts.into_iter();
    Ok(parts.find(|part| part.info.path == *path))
}

fn text(traced: &Traced) -> String {
    let at = &traced.at;
    let mut text = format!("{}\n", at.path);
    let mut line = |key: &str, value: &str| add_line(&mut text, key, value);
    for link in &at.links {
        line("through", link);
    }
    line(
        "contents",
        &format!("sha256:{}, {} bytes", at.sha256, at.size_bytes),
    );
    let place = format!("{} ({}), at byte {}", at.layer_number, at.layer, at.offset);
    line("layer", &place);
    line("image", &format!("{} for {}", at.manifest, at.platform));
    if let (Some(object), Some(file)) = (&at.object, &at.file) {
        line("store path", &object.to_logical());
        line(
            "file",
            if file.is_empty() {
                "the object itself"
            } else {
                file
            },
        );
    }
    match (&traced.from, &traced.outside) {
        (Some(from), _) => add_background(&mut text, from),
        (None, Some(outside)) => line("from", &outside_text(outside, traced.asked_at.as_deref())),
        (None, None) => line("from", "a store path of which nothing is recorded here"),
    }
    text
}

/// Says what a file is of that lies at no store path.
fn outside_text(outside: &Outside, asked_at: Option<&str>) -> String {
    match (outside, asked_at) {
        (Outside::Asked, Some(place)) => format!("the image itself, declared at {place}"),
        (Outside::Asked, None) => {
            "the image itself: its specification asks for these contents, says its bill of materials"
                .to_owned()
        }
        (Outside::Changed { sha256 }, _) => format!(
            "nobody who is known: the image's specification asks for sha256:{sha256} here, says its bill of materials"
        ),
        (Outside::Bill, _) => "the image itself: it is its bill of materials".to_owned(),
        (Outside::Generated, _) => {
            "the image itself: every image has one; `pith audit --bytes` says whether it is as it should be".to_owned()
        }
        (Outside::Base { name: Some(name) }, _) => format!("the base image `{name}`"),
        (Outside::Base { name: None }, _) => "the base image".to_owned(),
        (Outside::Package { object, .. }, _) => object.to_logical(),
        (Outside::Unknown, _) => {
            "nothing that is known here; `pith audit --bytes` says what is known of all the rest".to_owned()
        }
    }
}

/// Describes what a digest is of.
fn stored_text(stored: &Stored) -> String {
    let mut text = format!("{}\n", stored.object.to_logical());
    let mut line = |key: &str, value: &str| add_line(&mut text, key, value);
    match &stored.kind {
        StoredKind::File { file, size_bytes } if file.is_empty() => {
            line("file", &format!("the object itself, {size_bytes} bytes"));
        }
        StoredKind::File { file, size_bytes } => {
            line("file", &format!("{file}, {size_bytes} bytes"));
        }
        StoredKind::Source { name, .. } => line("made of", name),
        StoredKind::Patch { name } => line("changed by", name),
        StoredKind::Layer(layer) => {
            let form = layer.compression.as_deref().unwrap_or("tar");
            let size_bytes = layer.tar_size_bytes;
            line(
                "layer",
                &format!("as {form}, {size_bytes} bytes of tar, of an image of it"),
            );
        }
    }
    add_background(&mut text, &stored.from);
    text
}

fn add_line(text: &mut String, key: &str, value: &str) {
    let value = value.replace(char::is_control, "?");
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{key:>11}  {value}");
}

/// Adds where something comes from.
fn add_background(text: &mut String, from: &Background) {
    let mut line = |key: &str, value: &str| add_line(text, key, value);
    let version = from.software_version.as_deref().unwrap_or_default();
    line(
        "component",
        format!("{} {version}", from.component).trim_end(),
    );
    for linked in &from.linked {
        line("linked", &linked_text(linked));
    }
    if from.link_is_recorded == Some(false) {
        line("", "no linker recorded what is in it");
    }
    if let Some(recipe) = &from.recipe {
        line("recipe", recipe);
    }
    for source in &from.sources {
        let digest = source.digest.as_deref().unwrap_or("a tree of files");
        line("source", &format!("{} {digest}", source.name));
        for url in &source.urls {
            line("", url);
        }
    }
    for (name, sha256, fixes) in &from.patches {
        line(
            "patch",
            format!("{name} sha256:{sha256} {}", fixes.join(" ")).trim_end(),
        );
    }
    let declared = from.license.declared.as_deref().unwrap_or("not declared");
    line("license", declared);
    if let Some(evidence) = &from.license.evidence {
        line("", &format!("read in {evidence}"));
    }
    for (expression, file) in &from.license.found {
        line("", &format!("{expression} in the words of {file}"));
    }
    match from.known_from {
        "bill" => line("", "this is what the image says of itself"),
        "attestations" => line("", "this is what is attached to the image"),
        _ => {}
    }
}

/// What was linked, and how much of it.
fn linked_text(linked: &LinkedObject) -> String {
    let of = linked.of.as_deref().unwrap_or("the build itself");
    let mut members = String::new();
    if !linked.members.is_empty() {
        let shown: Vec<&str> = (linked.members.iter())
            .take(SHOWN_MEMBERS)
            .map(String::as_str)
            .collect();
        let count = plural(linked.members.len(), "member");
        members = format!(" ({count}: {}…)", shown.join(", "));
    }
    format!("{} {} of {of}{members}", kind(linked.kind), linked.file)
}

const fn kind(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::Needed => "needs",
        LinkKind::Static => "contains",
        LinkKind::Runtime => "starts with",
        LinkKind::Interpreter => "is loaded by",
        LinkKind::Dlopen => "may load",
    }
}
