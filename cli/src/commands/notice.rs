//! `pith notice`: the texts and notices that go with an image.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use pack::audit::Code;
use pack::audit::inventory::Inventory;
use pack::audit::notice::{MissingText, Notice};
use serde::Serialize;
use thiserror::Error;

use crate::context::Context;
use crate::error::{CommandError, ExitStatus};
use crate::facts::gather;
use crate::planned::PlannedImage;

/// Print the texts of licenses and the notices of copyright of all that a target's image contains
///
/// Texts are as they were found in the sources; exit status 3 says that a license asks for its text and none was found.
#[derive(Debug, Args)]
pub(crate) struct NoticeArgs {
    /// A package, an image that the project declares, or a store path
    #[arg(value_name = "TARGET")]
    target: String,
    /// Write to FILE rather than to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// text or html
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: NoticeFormat,
}

/// How notices are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoticeFormat {
    Text,
    Html,
}

/// The text names no format.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no format of notices; known are `text` and `html`")]
struct UnknownFormat(String);

impl FromStr for NoticeFormat {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        match text {
            "text" => Ok(Self::Text),
            "html" => Ok(Self::Html),
            other => Err(UnknownFormat(other.to_owned())),
        }
    }
}

/// The report of `--json`.
#[derive(Debug, Serialize)]
struct Report<'a> {
    components: Vec<Shown<'a>>,
    missing: &'a [MissingText],
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    name: &'a str,
    version: Option<&'a str>,
    license: Option<&'a str>,
    duties: Vec<String>,
    copyrights: &'a [String],
    /// SHA-256 of each text, with the file that it was found in.
    texts: Vec<(&'a str, &'a str)>,
}

/// Something has no text that should have one.
#[derive(Debug, Error)]
#[error("the notices for `{target}` are not complete: no text for {components}")]
struct Incomplete {
    target: String,
    components: String,
}

/// Collects the notices and prints or writes them.
pub(crate) fn notice(args: &NoticeArgs, context: &Context) -> Result<(), CommandError> {
    let store = context.open_store()?;
    let planned = PlannedImage::realise(context, &store, &context.evaluator(), &args.target)?;
    let closure = store.closure(&planned.realised.paths)?;
    let gathered = gather(context, &store, closure.infos())?;
    let inventory = Inventory::of_closure(&gathered, &planned.realised.paths);
    let notice = Notice::collect(&planned.title, &gathered, &inventory, &store);
    let mut notice = notice.map_err(CommandError::failed)?;
    notice
        .missing
        .extend(planned.base().map(|base| MissingText {
            code: Code::N101.as_str(),
            component: base.to_owned(),
            version: None,
            license: None,
            reason: "it is the base image: whoever made it has its notices",
        }));
    let document = match args.format {
        NoticeFormat::Text => notice.to_text(),
        NoticeFormat::Html => notice.to_html().into_bytes(),
    };
    let printer = context.printer();
    if let Some(path) = &args.output {
        pack::write_file(&context.directory().join(path), &document)?;
    }
    if printer.is_json() {
        printer.json(&report(&notice))?;
    } else if args.output.is_none() {
        printer.bytes(&document)?;
    }
    for missing in &notice.missing {
        let license = missing.license.as_deref().unwrap_or("not declared");
        printer.always(&format!(
            "N101: `{}` has no text of its license ({license}): {}",
            missing.component, missing.reason
        ));
    }
    if notice.missing.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = (notice.missing.iter())
        .map(|one| format!("`{}`", one.component))
        .collect();
    let error = Incomplete {
        target: args.target.clone(),
        components: names.join(", "),
    };
    Err(CommandError::new(ExitStatus::No, error).hint(
        "nothing is recorded of what an older pith has built; a cache that has the facts, or a build in another store, brings them",
    ))
}

fn report(notice: &Notice) -> Report<'_> {
    let components = notice.components.iter().enumerate();
    Report {
        components: components
            .map(|(place, component)| Shown {
                name: &component.name,
                version: component.version.as_deref(),
                license: component.license.as_deref(),
                duties: (component.duties.iter())
                    .map(|duty| duty.name().to_owned())
                    .collect(),
                copyrights: &component.copyrights,
                texts: (notice.texts.iter())
                    .flat_map(|text| {
                        text.of
                            .iter()
                            .map(move |(of, file)| (of, &text.sha256, file))
                    })
                    .filter(|(of, ..)| **of == place)
                    .map(|(_, sha256, file)| (sha256.as_str(), file.as_str()))
                    .collect(),
            })
            .collect(),
        missing: &notice.missing,
    }
}
