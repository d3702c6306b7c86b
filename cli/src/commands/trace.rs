//! `pith trace`: from a file back to its sources.

use std::fmt::Write as _;

use clap::Args;
use pack::audit::Part;
use pack::audit::trace::{Background, LinkedObject, Located, TraceError, Wanted, find};
use pack::oci::Digest;
use serde::Serialize;
use store::facts::LinkKind;
use store::{LocalStore, StorePath};
use thiserror::Error;

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
/// What the store on this machine has recorded is shown; of an image whose packages it does not have, what the image says of itself.
#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// `IMAGE:/path` or `TARGET:/path`; or sha256:… of a file's contents, and where to look for it
    #[arg(value_name = "FILE")]
    file: String,
    /// With sha256:…, the image or target that it is in
    #[arg(value_name = "TARGET|IMAGE")]
    subject: Option<String>,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// What was asked for is no file of anything.
#[derive(Debug, Error)]
enum Asked {
    #[error(
        "`{0}` names no file: write `IMAGE:/path`, `TARGET:/path`, or `sha256:…` and an image or a target"
    )]
    NoFile(String),
    #[error("`{0}` is asked for in nothing")]
    Nowhere(String),
}

#[derive(Debug, Serialize)]
struct Report {
    files: Vec<Traced>,
}

#[derive(Debug, Serialize)]
struct Traced {
    #[serde(flatten)]
    at: Located,
    /// Null where no store path has it.
    from: Option<Background>,
}

/// Finds the file and shows what is known of it.
pub(crate) fn trace(args: &TraceArgs, context: &Context) -> Result<(), CommandError> {
    let (subject, wanted) = asked(args)?;
    let store = context.open_store()?;
    let contents = Contents::find(&subject, &args.registry, context, &store)?;
    let image = contents.open()?;
    let found = find(&image, &wanted).map_err(failed)?;
    let bill = image.bill().map_err(CommandError::from)?;
    let mut files = Vec::with_capacity(found.len());
    for at in found {
        let file = at.file.as_deref().unwrap_or_default();
        let known = match &at.object {
            Some(object) => recorded(context, &store, object)?,
            None => None,
        };
        let from = match known {
            Some(part) => Some(Background::of(&part, file)),
            None => (bill.iter())
                .find(|package| Some(&package.path) == at.object.as_ref())
                .map(Background::of_bill),
        };
        files.push(Traced { at, from });
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

/// What is asked for, and of what.
fn asked(args: &TraceArgs) -> Result<(String, Wanted), CommandError> {
    let usage = |error| CommandError::new(ExitStatus::Usage, error);
    if let Ok(digest) = args.file.parse::<Digest>() {
        let subject = args.subject.clone();
        let subject = subject.ok_or_else(|| usage(Asked::Nowhere(args.file.clone())))?;
        return Ok((subject, Wanted::Contents(digest)));
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
            Ok((subject.to_owned(), Wanted::Path(path)))
        }
        _ => Err(usage(Asked::NoFile(args.file.clone()))),
    }
}

fn failed(error: TraceError) -> CommandError {
    let status = match error {
        TraceError::Layer { .. } => ExitStatus::Damaged,
        TraceError::NotThere { .. } | TraceError::Dangling { .. } => ExitStatus::No,
        TraceError::Image(_) => ExitStatus::Failed,
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
    // Writing to a String cannot fail.
    let mut line = |key: &str, value: &str| {
        let value = value.replace(char::is_control, "?");
        let _ = writeln!(text, "{key:>11}  {value}");
    };
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
    let Some(from) = &traced.from else {
        line(
            "from",
            "no store path; `pith audit --bytes` says by which rule",
        );
        return text;
    };
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
    if from.known_from == "bill" {
        line("", "this is what the image says of itself");
    }
    text
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
