//! The `scripts` of a `package.json`: which file of the app a script comes to. Pure.

use serde_json::Value;

use super::container::{SHELL, is_called};

/// How often a script may call another one.
const DEPTH: usize = 8;
/// Programs that run scripts.
const RUNNERS: [&str; 3] = ["npm", "yarn", "pnpm"];
/// What is run after it has set variables, as a shell would.
const SETTERS: [&str; 2] = ["cross-env", "env"];

/// The scripts by their names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scripts<'a>(Option<&'a serde_json::Map<String, Value>>);

/// A file that Node is given, and what comes after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// The file, as the script writes it.
    pub(super) file: String,
    /// Its arguments.
    pub(super) rest: Vec<String>,
}

impl<'a> Scripts<'a> {
    /// Takes those of a manifest.
    pub(super) fn new(manifest: &'a Value) -> Self {
        Self(manifest.get("scripts").and_then(Value::as_object))
    }

    /// The text of a script.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.0?.get(name)?.as_str()
    }

    /// `name`, if there is such a script.
    pub(super) fn has<'n>(&self, name: &'n str) -> Option<&'n str> {
        self.text(name).map(|_| name)
    }

    /// The script that these words run: `npm start`, `npm run build`, `yarn build`. `None` where it gets arguments of its own.
    pub(super) fn called_by<S: AsRef<str>>(&self, words: &[S]) -> Option<String> {
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        let (runner, rest) = words.split_first()?;
        if !RUNNERS.contains(runner) {
            return None;
        }
        let name = match rest {
            ["run" | "run-script", name] => name,
            ["start"] => "start",
            // `npm build` is no script.
            [name] if *runner != "npm" => name,
            _ => return None,
        };
        self.has(name).map(str::to_owned)
    }

    /// The file that a script has Node run, through the scripts that it calls; `None` where a shell would do more than split words.
    pub(super) fn node_call(&self, name: &str) -> Option<Call> {
        let mut name = name.to_owned();
        for _ in 0..DEPTH {
            let text = self.text(&name)?;
            if text.contains(SHELL) {
                return None;
            }
            let words = shlex::split(text)?;
            let is_set = |word: &&String| SETTERS.contains(&word.as_str()) || word.contains('=');
            let words = &words[words.iter().take_while(is_set).count()..];
            if let Some(next) = self.called_by(words) {
                name = next;
                continue;
            }
            let (program, rest) = words.split_first()?;
            let (file, rest) = rest.split_first()?;
            return (is_called(program, "node") && !file.starts_with('-')).then(|| Call {
                file: file.clone(),
                rest: rest.to_vec(),
            });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_comes_to_the_file_that_node_is_given() {
        let manifest = serde_json::json!({"scripts": {
            "start": "npm run serve",
            "serve": "cross-env NODE_ENV=production node ./server/main.js --port 80",
            "dev": "nodemon main.js",
            "shell": "tsc && node dist/main.js",
            "option": "node --inspect main.js",
            "round": "yarn round",
            "plain": "node main.js",
        }});
        let scripts = Scripts::new(&manifest);
        let call = |name| {
            let call = scripts.node_call(name)?;
            Some(format!("{} {}", call.file, call.rest.join(" ")))
        };
        for name in ["start", "serve"] {
            assert_eq!(call(name).as_deref(), Some("./server/main.js --port 80"));
        }
        assert_eq!(call("plain").as_deref(), Some("main.js "));
        for name in ["dev", "shell", "option", "round", "missing"] {
            assert_eq!(call(name), None, "{name}");
        }
    }

    #[test]
    fn words_name_a_script_as_npm_and_yarn_have_it() {
        let manifest = serde_json::json!({"scripts": {"start": "a", "build": "b"}});
        let scripts = Scripts::new(&manifest);
        let called = |text: &str| {
            let words: Vec<&str> = text.split(' ').collect();
            scripts.called_by(&words)
        };
        for (text, name) in [
            ("npm start", Some("start")),
            ("npm run start", Some("start")),
            ("npm run-script build", Some("build")),
            ("yarn build", Some("build")),
            ("pnpm run build", Some("build")),
            ("npm build", None),
            ("npm run build -- --watch", None),
            ("npm run other", None),
            ("npm ci", None),
            ("make build", None),
        ] {
            assert_eq!(called(text).as_deref(), name, "{text}");
        }
    }
}
