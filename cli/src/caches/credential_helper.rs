//! Programs that keep credentials for docker: `docker-credential-<name>`.
//!
//! Protocol: docker-credential-helpers, "Development": `get`, the server on standard input, a JSON object on standard output.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use store::cache::backend::Credentials;
use zeroize::Zeroizing;

use super::CredentialError;

/// How long a program may take: it may have to ask its own server, or the user.
const LIMIT: Duration = Duration::from_secs(60);
/// Bytes of an answer at most.
const MAX_ANSWER: u64 = 1 << 20;
/// Characters of a complaint that are shown at most.
const MAX_MESSAGE: usize = 200;
/// What a program says, by its protocol, that knows nothing of a server.
const UNKNOWN: &str = "credentials not found";
/// The user of an identity token.
const TOKEN_USER: &str = "<token>";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Asks the program for the credentials for a server; `None` if it knows none.
pub(super) fn ask(name: &str, server: &str) -> Result<Option<Credentials>, CredentialError> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if name.is_empty() || !name.bytes().all(is_plain) {
        return Err(CredentialError::HelperName {
            name: name.escape_debug().to_string(),
        });
    }
    let program = format!("docker-credential-{name}");
    ask_program(&mut Command::new(&program), program, server, LIMIT)
}

fn ask_program(
    command: &mut Command,
    program: String,
    server: &str,
    limit: Duration,
) -> Result<Option<Credentials>, CredentialError> {
    let unstarted = |source| CredentialError::HelperStart {
        program: program.clone(),
        server: server.to_owned(),
        source,
    };
    let mut child = command
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(unstarted)?;
    if let Some(mut input) = child.stdin.take() {
        // A program that does not want to know says what is wrong itself.
        drop(writeln!(input, "{server}"));
    }
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (send, receive) = mpsc::channel();
    // Not joined: whatever the program has started may keep the pipe open after its end.
    thread::spawn(move || {
        let mut output = Zeroizing::new(Vec::new());
        let read = stdout.map(|pipe| pipe.take(MAX_ANSWER).read_to_end(&mut output));
        drop((read, send.send(output)));
    });
    let (send_problem, receive_problem) = mpsc::channel();
    thread::spawn(move || {
        let mut problem = Vec::new();
        let read = stderr.map(|pipe| pipe.take(MAX_ANSWER).read_to_end(&mut problem));
        drop((read, send_problem.send(problem)));
    });
    let Ok(output) = receive.recv_timeout(limit) else {
        // It may have ended in this moment.
        drop(child.kill());
        drop(child.wait());
        return Err(CredentialError::HelperSilent {
            program,
            server: server.to_owned(),
            limit,
        });
    };
    let status = child.wait().map_err(unstarted)?;
    if status.success() {
        return read_answer(&output, &program, server);
    }
    let problem = receive_problem.recv_timeout(limit).unwrap_or_default();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    // Programs made with docker's library complain on standard output.
    let said = Some(text(&output)).filter(|said| !said.is_empty());
    let said = said.unwrap_or_else(|| text(&problem));
    if said.starts_with(UNKNOWN) {
        return Ok(None);
    }
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    Err(CredentialError::HelperFailed {
        program,
        server: server.to_owned(),
        status,
        said: said.chars().map(shown).take(MAX_MESSAGE).collect(),
    })
}

fn read_answer(
    output: &[u8],
    program: &str,
    server: &str,
) -> Result<Option<Credentials>, CredentialError> {
    let answer: Answer =
        serde_json::from_slice(output).map_err(|_| CredentialError::HelperAnswer {
            program: program.to_owned(),
            server: server.to_owned(),
        })?;
    let password = Zeroizing::new(answer.secret);
    if answer.username == TOKEN_USER {
        return Ok(Some(Credentials::Identity(password)));
    }
    let is_known = !answer.username.is_empty() || !password.is_empty();
    Ok(is_known.then_some(Credentials::Basic {
        user: answer.username,
        password,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_elsewhere_is_not_started() {
        for name in ["", "../x", "a/b", "a b", "\u{1b}"] {
            let result = ask(name, "r.example");
            assert!(
                matches!(result, Err(CredentialError::HelperName { .. })),
                "{name}"
            );
        }
    }

    /// Asks a shell script, which has `get` as its first argument.
    fn ask_script(script: &str, limit: Duration) -> Result<Option<Credentials>, CredentialError> {
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]);
        ask_program(&mut command, "helper".to_owned(), "r.example", limit)
    }

    #[test]
    fn a_program_is_asked_for_the_server_and_its_failures_are_told() {
        let answer = r#"read server; [ "$1 $server" = "get r.example" ] && echo '{"ServerURL":"r.example","Username":"me","Secret":"p"}'"#;
        let found = ask_script(answer, LIMIT).unwrap();
        assert!(
            found
                == Some(Credentials::Basic {
                    user: "me".to_owned(),
                    password: Zeroizing::new("p".to_owned()),
                })
        );
        let unknown = "echo credentials not found in native keychain; exit 1";
        assert!(ask_script(unknown, LIMIT).unwrap().is_none());
        for (script, message) in [
            (
                "echo locked; exit 1",
                "`helper` has no credentials for `r.example`: locked",
            ),
            (
                "printf 'no\\033[1m agent' >&2; exit 2",
                "`helper` has no credentials for `r.example`: no [1m agent",
            ),
            (
                "exit 3",
                "`helper` has no credentials for `r.example`: exit status: 3",
            ),
            (
                "echo hello",
                "the answer of `helper` about `r.example` has no user and no secret",
            ),
        ] {
            let error = ask_script(script, LIMIT).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn a_program_that_never_answers_is_ended() {
        let hanging = ask_script("exec tail -f /dev/null", Duration::from_millis(20));
        assert_eq!(
            hanging.unwrap_err().to_string(),
            "`helper` does not say within 0 s what the credentials for `r.example` are"
        );
    }

    #[test]
    fn answers_are_read_and_nothing_is_guessed() {
        let read = |text: &str| read_answer(text.as_bytes(), "p", "s");
        let known = read(r#"{"ServerURL":"s","Username":"me","Secret":"p"}"#);
        assert!(matches!(known, Ok(Some(Credentials::Basic { user, .. })) if user == "me"));
        let empty = read(r#"{"ServerURL":"s","Username":"","Secret":""}"#);
        assert!(matches!(empty, Ok(None)));
        let token = read(r#"{"Username":"<token>","Secret":"t"}"#);
        assert!(matches!(token, Ok(Some(Credentials::Identity(token))) if *token == "t"));
        for bad in ["", "{}", "[]", r#"{"Username":"me"}"#] {
            let bad = read(bad);
            assert!(matches!(bad, Err(CredentialError::HelperAnswer { .. })));
        }
    }
}
