//! What a Dockerfile says about how an app is run: its command, ports, environment, and whether it starts beside its files.

use super::{ProjectError, ProjectFiles};

/// The files that are looked at, in this order.
const FILES: [&str; 2] = ["Dockerfile", "Containerfile"];
/// What a shell would change in a command or a value.
pub(super) const SHELL: &[char] = &[
    '$', '`', '&', '|', ';', '<', '>', '(', ')', '*', '?', '{', '}', '[', ']', '~', '#', '!',
];
/// Variables that say where a distribution has its files, or what installers do: neither is true in an image of store paths.
const BUILD_VARIABLES: [&str; 8] = [
    "PATH",
    "HOME",
    "VIRTUAL_ENV",
    "PYTHONPATH",
    "NODE_PATH",
    "DEBIAN_FRONTEND",
    "LD_LIBRARY_PATH",
    "CI",
];
const BUILD_PREFIXES: [&str; 7] = [
    "PIP_",
    "POETRY_",
    "UV_",
    "PDM_",
    "NPM_CONFIG_",
    "CARGO_",
    "RUSTUP_",
];

/// By which Python writes what it prints at once.
const UNBUFFERED: &str = "-u";

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Container {
    /// The file; empty when there is none.
    pub(super) file: &'static str,
    /// `EXPOSE`, as a recipe writes ports: `8080` or `"53/udp"`; sorted.
    pub(super) ports: Vec<String>,
    /// The words of the last `ENTRYPOINT` and `CMD`, where no shell is needed to understand them.
    pub(super) command: Vec<String>,
    /// `ENV` with literal values that an app may look at, in the order of the file.
    pub(super) env: Vec<(String, String)>,
    /// The commands of `RUN` in all stages that are plain words, one after the other.
    pub(super) runs: Vec<Vec<String>>,
    /// Whether there is a `WORKDIR`, where the app finds its files without saying where they are.
    pub(super) has_directory: bool,
}

/// What a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Started<'a> {
    /// A file that the interpreter is given.
    File(&'a str),
    /// A module that the interpreter looks for: `python -m NAME`.
    Module(&'a str),
    /// A program by its name or path.
    Program(&'a str),
}

impl Container {
    /// Reads the first file that is there.
    pub(super) fn load(files: &dyn ProjectFiles) -> Result<Self, ProjectError> {
        for file in FILES {
            if let Some(text) = files.text(file)? {
                return Ok(Self {
                    file,
                    ..parse(&text)
                });
            }
        }
        Ok(Self::default())
    }

    /// Sets a variable; of one that is set twice, the last value counts.
    fn set(&mut self, name: String, value: String) {
        self.env.retain(|(known, _)| *known != name);
        self.env.push((name, value));
    }

    /// The program that the command names, by name or path, and its arguments.
    pub(super) fn program(&self) -> Option<(&str, &[String])> {
        let (program, rest) = self.command.split_first()?;
        Some((program, rest))
    }

    /// What the command runs, and the arguments of that. `None` without a command, and where `interpreter` gets an option that is not known here.
    pub(super) fn started(&self, interpreter: &str) -> Option<(Started<'_>, &[String])> {
        let (program, rest) = self.program()?;
        if !is_called(program, interpreter) {
            return Some((Started::Program(program), rest));
        }
        // Output as it comes is how a container's log wants it; `env` says so to Python, and Node does nothing else.
        let rest = match rest.split_first() {
            Some((first, rest)) if first == UNBUFFERED => rest,
            _ => rest,
        };
        match rest.split_first()? {
            (first, rest) if first == "-m" => {
                let (module, rest) = rest.split_first()?;
                Some((Started::Module(module), rest))
            }
            (first, _) if first.starts_with('-') => None,
            (file, rest) => Some((Started::File(file.strip_prefix("./").unwrap_or(file)), rest)),
        }
    }
}

/// Whether `program` is the interpreter, by any path and with any version: `/usr/bin/python3.11`.
pub(super) fn is_called(program: &str, interpreter: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or_default();
    name.strip_prefix(interpreter)
        .is_some_and(|version| version.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

fn parse(text: &str) -> Container {
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let mut ports = Vec::new();
    let mut found = Container::default();
    let (mut entrypoint, mut cmd) = (Vec::new(), Vec::new());
    let mut runs = Vec::new();
    for line in joined.lines() {
        let Some((instruction, rest)) = line.trim().split_once(char::is_whitespace) else {
            continue;
        };
        match instruction.to_ascii_uppercase().as_str() {
            // Only the last stage is the image.
            "FROM" => {
                found = Container::default();
                (ports, entrypoint, cmd) = (Vec::new(), Vec::new(), Vec::new());
            }
            "EXPOSE" => ports.extend(rest.split_whitespace().filter_map(port)),
            "ENTRYPOINT" => entrypoint = words(rest.trim()),
            "CMD" => cmd = words(rest.trim()),
            "RUN" => runs.extend(commands(rest.trim())),
            "ENV" => variables(rest).for_each(|(name, value)| found.set(name, value)),
            "WORKDIR" => found.has_directory = rest.trim() != "/",
            _ => {}
        }
    }
    ports.sort();
    ports.dedup();
    found.ports = ports.into_iter().map(|(_, shown)| shown).collect();
    entrypoint.extend(cmd);
    if let [program, option, ..] = entrypoint.as_slice()
        && is_called(program, "python")
        && option == UNBUFFERED
    {
        found.set("PYTHONUNBUFFERED".to_owned(), "1".to_owned());
    }
    found.command = entrypoint;
    found.runs = runs;
    found
}

/// The words of a command: its JSON form, or the form for a shell where a shell would do nothing but split it.
fn words(text: &str) -> Vec<String> {
    if let Ok(words) = serde_json::from_str(text) {
        return words;
    }
    if text.contains(SHELL) {
        return Vec::new();
    }
    let mut words = shlex::split(text).unwrap_or_default();
    if words.first().is_some_and(|word| word == "exec") {
        words.remove(0);
    }
    match words.first() {
        Some(first) if !first.contains('=') => words,
        _ => Vec::new(),
    }
}

/// The commands of a `RUN` of which each is plain words: `npm ci && npm run build` are two. Options of `RUN` itself go before them.
fn commands(text: &str) -> impl Iterator<Item = Vec<String>> {
    let is_option = |word: &&str| word.starts_with("--");
    let options: usize = text
        .split_inclusive(' ')
        .take_while(|word| is_option(&word.trim_end()))
        .map(str::len)
        .sum();
    let parts = text[options..].split("&&");
    parts
        .map(|part| words(part.trim()))
        .filter(|words| !words.is_empty())
}

/// The literal values of `NAME=value …`, or of the older `NAME value`, that an app may look at.
fn variables(text: &str) -> impl Iterator<Item = (String, String)> {
    let text = text.trim();
    let pairs: Vec<(String, String)> = match text.split_once(char::is_whitespace) {
        Some((name, value)) if !name.contains('=') => {
            vec![(name.to_owned(), value.trim().to_owned())]
        }
        _ => {
            let words = shlex::split(text).unwrap_or_default();
            let pair = |word: &String| {
                let (name, value) = word.split_once('=')?;
                Some((name.to_owned(), value.to_owned()))
            };
            words.iter().filter_map(pair).collect()
        }
    };
    pairs
        .into_iter()
        .filter(|(name, value)| is_for_apps(name) && !value.contains(['$', '\n']))
}

/// Whether a variable is none of those that only a build or a distribution needs.
fn is_for_apps(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let upper = name.to_ascii_uppercase();
    let is_of_build = BUILD_VARIABLES.contains(&upper.as_str())
        || BUILD_PREFIXES
            .iter()
            .any(|prefix| upper.starts_with(prefix));
    !name.is_empty() && name.chars().all(plain) && !is_of_build
}

/// A literal port and how a recipe writes it.
fn port(word: &str) -> Option<(u16, String)> {
    let (number, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
    let number: u16 = number.parse().ok().filter(|number| *number > 0)?;
    match protocol {
        "tcp" => Some((number, number.to_string())),
        "udp" => Some((number, format!("\"{number}/udp\""))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn ports_and_command_are_those_of_the_last_stage() {
        let found = parse(
            "FROM a AS build\nEXPOSE 1\nENV A=1\nWORKDIR /src\nCMD [\"x\"]\nFROM b\nexpose 8080 53/udp \\\n  $PORT 443/tcp\nENTRYPOINT [\"node\"]\nCMD [\"./server.js\"]\n",
        );
        assert_eq!(found.ports, ["\"53/udp\"", "443", "8080"]);
        assert_eq!(
            found.started("node"),
            Some((Started::File("server.js"), &[][..]))
        );
        assert_eq!(
            found.started("python"),
            Some((Started::Program("node"), &strings(&["./server.js"])[..]))
        );
        assert_eq!((found.env, found.has_directory), (Vec::new(), false));
    }

    #[test]
    fn what_a_shell_only_splits_is_a_command() {
        let cases = [
            ("CMD node server.js && true", &[][..]),
            ("CMD gunicorn -b :$PORT app", &[]),
            ("CMD A=1 gunicorn app", &[]),
            ("CMD [\"unfinished\"", &[]),
            (
                "CMD exec gunicorn -b '0.0.0.0:80' app:app",
                &["gunicorn", "-b", "0.0.0.0:80", "app:app"],
            ),
        ];
        for (text, command) in cases {
            assert_eq!(parse(text).command, command, "{text}");
        }
    }

    #[test]
    fn an_interpreter_is_known_by_any_path_and_version() {
        let started = |text: &str| {
            let found = parse(text);
            let started = found.started("python");
            started.map(|(started, rest)| (format!("{started:?}"), rest.to_vec()))
        };
        let file = |rest: &[&str]| Some(("File(\"a.py\")".to_owned(), strings(rest)));
        assert_eq!(started("CMD python a.py"), file(&[]));
        assert_eq!(
            started("CMD [\"/usr/bin/python3.11\", \"-u\", \"./a.py\", \"-v\"]"),
            file(&["-v"])
        );
        assert_eq!(
            started("CMD python3 -m uvicorn main:app"),
            Some(("Module(\"uvicorn\")".to_owned(), strings(&["main:app"])))
        );
        assert_eq!(started("CMD python -c 'print(1)'"), None);
        assert_eq!(
            started("CMD pythonic"),
            Some(("Program(\"pythonic\")".to_owned(), Vec::new()))
        );
    }

    #[test]
    fn variables_are_those_that_an_app_may_look_at() {
        let found = parse(
            "FROM a\nENV NODE_ENV=production TITLE=\"a b\" PATH=/x:$PATH\nENV PIP_NO_CACHE_DIR 1\nENV MODE old\nENV MODE=new URL=http://$HOST\nWORKDIR /app\nCMD python -u x.py\n",
        );
        let pairs: Vec<_> = found
            .env
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [
                ("NODE_ENV", "production"),
                ("TITLE", "a b"),
                ("MODE", "new"),
                ("PYTHONUNBUFFERED", "1"),
            ]
        );
        assert!(found.has_directory);
        // Another program's option of that name.
        assert_eq!(parse("CMD gunicorn -u www app:app").env, []);
    }
}
