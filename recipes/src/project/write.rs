//! The text of the `pith.star`.

use super::kind::Kind;
use super::names::quoted;

/// What the text says.
#[derive(Clone, Debug)]
pub(super) struct App<'a> {
    pub(super) kind: Kind,
    /// The files that made it one of this kind.
    pub(super) evidence: &'a str,
    pub(super) name: &'a str,
    pub(super) program: &'a str,
    pub(super) license: Option<&'a str>,
    pub(super) arguments: &'a [(&'static str, String)],
    pub(super) ports: &'a [String],
    /// What the program is started with.
    pub(super) command: &'a [String],
    pub(super) env: &'a [(String, String)],
    /// The directory of the package that it starts in.
    pub(super) directory: Option<&'a str>,
}

/// Returns the text; at most 15 lines for up to three arguments, or two and a Dockerfile that says more than ports.
pub(super) fn write(app: &App<'_>) -> String {
    let kind = app.kind;
    let name = quoted(app.name);
    let license = match app.license {
        Some(license) => format!("license = {},", quoted(license)),
        None => "# license = \"…\",  # no manifest and no LICENSE file says which".to_owned(),
    };
    let excluded: Vec<String> = ["*.tar"]
        .into_iter()
        .chain(kind.made_by_tools().iter().copied())
        .map(quoted)
        .collect();
    let excluded = excluded.join(", ");
    let arguments: String = app
        .arguments
        .iter()
        .map(|(argument, value)| format!("    {argument} = {value},\n"))
        .collect();
    let entrypoint = quoted(&format!("/bin/{}", app.program));
    let ports = match app.ports {
        [] => String::new(),
        ports => format!(" ports = [{}],", ports.join(", ")),
    };
    let more = started(app);
    format!(
        "# Recognised by {evidence}.\n\
         load(\"//lib/{kind}.star\", \"{kind}_app\")\n\n\
         app = {kind}_app(\n    name = {name},\n    src = source(\".\", exclude = [{excluded}]),\n    {license}\n{arguments})\n\n\
         image(\n    name = {name}, packages = [app], entrypoint = [{entrypoint}],{ports}\n{more})\n",
        evidence = app.evidence,
    )
}

/// What the program is started with, and where; one line, or nothing.
fn started(app: &App<'_>) -> String {
    let mut fields = Vec::new();
    if !app.command.is_empty() {
        let words: Vec<String> = app.command.iter().map(|word| quoted(word)).collect();
        fields.push(format!("cmd = [{}],", words.join(", ")));
    }
    if !app.env.is_empty() {
        let pairs = app.env.iter();
        let pairs: Vec<String> = pairs
            .map(|(name, value)| format!("{}: {}", quoted(name), quoted(value)))
            .collect();
        fields.push(format!("env = {{{}}},", pairs.join(", ")));
    }
    if let Some(directory) = app.directory {
        fields.push(format!("workdir = app.out + {},", quoted(directory)));
    }
    match fields.is_empty() {
        true => String::new(),
        false => format!("    {}\n", fields.join(" ")),
    }
}
