//! What a Dockerfile says about how an app is run: ports, and the file that its interpreter gets.

use super::{ProjectError, ProjectFiles};

/// The files that are looked at, in this order.
const FILES: [&str; 2] = ["Dockerfile", "Containerfile"];

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Container {
    /// The file; empty when there is none.
    pub(super) file: &'static str,
    /// `EXPOSE`, as a recipe writes ports: `8080` or `"53/udp"`; sorted.
    pub(super) ports: Vec<String>,
    /// The words of the last `ENTRYPOINT` and `CMD` in their JSON form.
    pub(super) command: Vec<String>,
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

    /// The file that `interpreter` is given, when the command is nothing but that: `["node", "server.js"]`.
    pub(super) fn script(&self, interpreters: &[&str]) -> Option<&str> {
        match self.command.as_slice() {
            [interpreter, script]
                if interpreters.contains(&interpreter.as_str()) && !script.starts_with('-') =>
            {
                Some(script.strip_prefix("./").unwrap_or(script))
            }
            _ => None,
        }
    }
}

fn parse(text: &str) -> Container {
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let mut ports = Vec::new();
    let (mut entrypoint, mut cmd) = (Vec::new(), Vec::new());
    for line in joined.lines() {
        let Some((instruction, rest)) = line.trim().split_once(char::is_whitespace) else {
            continue;
        };
        let words = || serde_json::from_str(rest.trim()).unwrap_or_default();
        match instruction.to_ascii_uppercase().as_str() {
            // Only the last stage is the image.
            "FROM" => (ports, entrypoint, cmd) = (Vec::new(), Vec::new(), Vec::new()),
            "EXPOSE" => ports.extend(rest.split_whitespace().filter_map(port)),
            "ENTRYPOINT" => entrypoint = words(),
            "CMD" => cmd = words(),
            _ => {}
        }
    }
    ports.sort();
    ports.dedup();
    entrypoint.extend(cmd);
    Container {
        file: "",
        ports: ports.into_iter().map(|(_, shown)| shown).collect(),
        command: entrypoint,
    }
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

    #[test]
    fn ports_and_command_are_those_of_the_last_stage() {
        let found = parse(
            "FROM a AS build\nEXPOSE 1\nCMD [\"x\"]\nFROM b\nexpose 8080 53/udp \\\n  $PORT 443/tcp\nENTRYPOINT [\"node\"]\nCMD [\"./server.js\"]\n",
        );
        assert_eq!(found.ports, ["\"53/udp\"", "443", "8080"]);
        assert_eq!(found.script(&["node"]), Some("server.js"));
        assert_eq!(found.script(&["python"]), None);
    }

    #[test]
    fn a_command_for_a_shell_tells_nothing() {
        let found = parse("FROM b\nCMD node server.js && true\n");
        assert_eq!(found, Container::default());
    }
}
