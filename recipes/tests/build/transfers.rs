//! Files from servers that are gone, wrong, slow or dishonest.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use recipes::build::{BuildError, Builder, FailureKind, Origin};
use recipes::event::Event;
use recipes::model::{ContentDigest, Derivation};
use recipes::plan::Goal;
use recipes::source::{Address, Timeouts};
use sha2::Digest as _;

use crate::fixture::{Fixture, TestResult, chain, fetch};
use crate::server::{Answer, Server};

fn content() -> Vec<u8> {
    (0..200_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn digest(bytes: &[u8]) -> ContentDigest {
    ContentDigest::Sha256(sha2::Sha256::digest(bytes).into())
}

fn fixture() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.options.fetch.timeouts = Timeouts {
        connect: Duration::from_secs(5),
        stall: Duration::from_millis(300),
        min_bytes: 1,
        retry_base: Duration::from_millis(1),
    };
    fixture
}

fn file(urls: &[String]) -> Arc<Derivation> {
    fetch("file.tar", urls, digest(&content()))
}

fn arrives(fixture: &Fixture, urls: &[String]) -> TestResult {
    let done = fixture.realise(&[&file(urls)])?;
    assert_eq!(done.goals[0].how, Origin::Fetched);
    assert_eq!(
        std::fs::read(fixture.store.real_path(&done.goals[0].path))?,
        content()
    );
    assert!(
        fixture.left_overs().is_empty(),
        "{:?}",
        fixture.left_overs()
    );
    Ok(())
}

#[test]
fn a_file_is_fetched_once() -> TestResult {
    let fixture = fixture();
    let server = Server::start(vec![Answer::File(content())]);
    arrives(&fixture, &[server.url("/a")])?;
    // Another address of the same bytes is the same file.
    let again = fixture.realise(&[&file(&["http://127.0.0.1:1/elsewhere".to_owned()])])?;
    assert_eq!(
        (again.goals[0].how, server.requests().len()),
        (Origin::AlreadyValid, 1)
    );
    Ok(())
}

#[test]
fn blake3_is_a_digest_too() -> TestResult {
    let fixture = fixture();
    let server = Server::start(vec![Answer::File(content())]);
    let digest = ContentDigest::Blake3(*blake3::hash(&content()).as_bytes());
    fixture.build(&fetch("file.tar", &[server.url("/a")], digest))?;
    Ok(())
}

#[test]
fn a_file_is_found_in_the_list_of_an_index() -> TestResult {
    let fixture = fixture();
    let files = Server::start(vec![Answer::File(content())]);
    let link = format!(
        "<a href=\"{}#{}\">file.tar</a>",
        files.url("/f"),
        digest(&content()).to_string().replace(':', "=")
    );
    let index = Server::start(vec![Answer::File(link.into_bytes())]);
    arrives(&fixture, &[format!("index+{}", index.url("/simple/file"))])?;
    assert_eq!(index.requests()[0].path, "/simple/file/");
    Ok(())
}

#[test]
fn an_index_without_the_digest_says_so() {
    let fixture = fixture();
    let index = Server::start(vec![Answer::File(b"<a href=\"/f#sha256=00\">".to_vec())]);
    let url = format!("index+{}", index.url("/simple/file"));
    let error = fixture.realise(&[&file(&[url])]).unwrap_err();
    let expected = format!(
        "the index lists no file with the digest {}",
        digest(&content())
    );
    assert!(chain(&error).contains(&expected), "{}", chain(&error));
}

#[test]
fn a_file_that_no_address_has_names_all_of_them() {
    let fixture = fixture();
    let (one, two) = (
        Server::start(vec![Answer::Status(404, "")]),
        Server::start(vec![Answer::Status(403, "")]),
    );
    let failure = fixture.failure(&file(&[
        one.url("/a"),
        two.url("/b"),
        "mirror://nowhere/c".to_owned(),
    ]));
    assert_eq!(
        chain(&failure),
        format!(
            "cannot fetch `file.tar`\nno address has `file.tar`\n  \
             mirror://nowhere/c: no mirror named `nowhere` is known on this machine (in `mirror://nowhere/c`)\n  \
             {}: the server answered 404\n  {}: the server answered 403",
            one.url("/a"),
            two.url("/b")
        )
    );
    assert_eq!(
        (one.requests().len(), two.requests().len()),
        (1, 1),
        "neither is tried again"
    );
    assert_eq!(
        BuildError::Step(Box::new(failure)).kind(),
        FailureKind::Other
    );
}

#[test]
fn a_wrong_digest_shows_both_the_address_and_the_recipe() {
    let fixture = fixture();
    let server = Server::start(vec![Answer::File(b"something else".to_vec())]);
    let failure = fixture.failure(&file(&[server.url("/a")]));
    assert_eq!(
        chain(&failure),
        format!(
            "cannot fetch `file.tar`\nsource `file.tar` has the wrong digest\n  \
             expected: {}  (//test/recipe.star:3:1)\n  found:    {}  ({})",
            digest(&content()),
            digest(b"something else"),
            server.url("/a")
        )
    );
    assert_eq!(server.requests().len(), 1);
    assert_eq!(
        BuildError::Step(Box::new(failure)).kind(),
        FailureKind::WrongDigest
    );
}

#[test]
fn another_mirror_makes_up_for_a_wrong_one() -> TestResult {
    let mut fixture = fixture();
    let (wrong, right) = (
        Server::start(vec![Answer::File(b"wrong".to_vec())]),
        Server::start(vec![Answer::File(content())]),
    );
    fixture
        .options
        .mirrors
        .append("mine", Address::new(wrong.url("/one/")));
    fixture
        .options
        .mirrors
        .append("mine", Address::new(right.url("/two")));
    arrives(&fixture, &["mirror://mine/x/file.tar".to_owned()])?;
    assert_eq!(
        (
            wrong.requests()[0].path.as_str(),
            right.requests()[0].path.as_str()
        ),
        ("/one/x/file.tar", "/two/x/file.tar")
    );
    Ok(())
}

#[test]
fn a_truncated_transfer_goes_on_where_it_stopped() -> TestResult {
    let fixture = fixture();
    let server = Server::start(vec![
        Answer::Truncated(content(), 300_000),
        Answer::File(content()),
    ]);
    arrives(&fixture, &[server.url("/a")])?;
    assert_eq!(server.requests()[1].header("range"), Some("bytes=300000-"));
    Ok(())
}

#[test]
fn another_process_goes_on_where_one_was_interrupted() -> TestResult {
    let fixture = fixture();
    let first = Server::start(vec![Answer::Stalled(content(), 300_000)]);
    let builder = Builder::new(&fixture.store, fixture.options.clone());
    let stop = |event| {
        if matches!(event, Event::FetchProgress { .. }) {
            fixture.cancel.store(true, Ordering::Relaxed);
        }
    };
    let result = builder.realise(
        &[Goal::new(file(&[first.url("/a")]))],
        &stop,
        &fixture.cancel,
    );
    assert!(matches!(result, Err(BuildError::Interrupted)), "{result:?}");
    assert_eq!(fixture.left_overs().len(), 1, "{:?}", fixture.left_overs());
    let mut other = Fixture::sharing(&fixture);
    other.options = fixture.options.clone();
    let second = Server::start(vec![Answer::File(content())]);
    arrives(&other, &[second.url("/b")])?;
    let range = second.requests()[0]
        .header("range")
        .map(str::to_owned)
        .ok_or("no range was asked for")?;
    let from: usize = range
        .trim_start_matches("bytes=")
        .trim_end_matches('-')
        .parse()?;
    assert!((262_144..=300_000).contains(&from), "{from}");
    Ok(())
}

#[test]
fn a_server_without_ranges_is_taken_from_the_start() -> TestResult {
    let fixture = fixture();
    let server = Server::start(vec![
        Answer::Truncated(content(), 300_000),
        Answer::WholeFile(content()),
    ]);
    arrives(&fixture, &[server.url("/a")])
}

#[test]
fn a_partial_file_with_wrong_bytes_is_started_again() -> TestResult {
    let fixture = fixture();
    for damage in [vec![0; 1000], vec![0; 1_000_000]] {
        let name = format!("fetch-{}", digest(&content()).to_string().replace(':', "-"));
        std::fs::write(fixture.store.tmp_dir().join(name), damage)?;
        let server = Server::start(vec![Answer::File(content())]);
        let other = Fixture::new();
        std::fs::rename(
            fixture.store.tmp_dir().join(format!(
                "fetch-{}",
                digest(&content()).to_string().replace(':', "-")
            )),
            other.store.tmp_dir().join(format!(
                "fetch-{}",
                digest(&content()).to_string().replace(':', "-")
            )),
        )?;
        arrives(&other, &[server.url("/a")])?;
        assert_eq!(server.requests().len(), 2);
    }
    Ok(())
}

#[test]
fn a_busy_server_is_asked_again() -> TestResult {
    let fixture = fixture();
    let server = Server::start(vec![
        Answer::Status(500, ""),
        Answer::Status(429, "Retry-After: 0\r\n"),
        Answer::Status(503, ""),
        Answer::File(content()),
    ]);
    arrives(&fixture, &[server.url("/a")])?;
    let retries = fixture
        .events
        .lock()
        .unwrap()
        .iter()
        .filter(|event| matches!(event, Event::FetchRetry { .. }))
        .count();
    assert_eq!(retries, 3);
    Ok(())
}

#[test]
fn a_server_that_stays_busy_is_given_up() {
    let fixture = fixture();
    let server = Server::start(vec![Answer::Status(503, "")]);
    let failure = fixture.failure(&file(&[server.url("/a")]));
    assert!(
        chain(&failure).ends_with("the server answered 503"),
        "{}",
        chain(&failure)
    );
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn a_stalled_transfer_is_left_and_continued_elsewhere() -> TestResult {
    let fixture = fixture();
    let (slow, quick) = (
        Server::start(vec![Answer::Stalled(content(), 100_000)]),
        Server::start(vec![Answer::File(content())]),
    );
    arrives(&fixture, &[slow.url("/a"), quick.url("/b")])?;
    assert!(quick.requests()[0].header("range").is_some());
    Ok(())
}

#[test]
fn credentials_are_not_taken_to_another_host() -> TestResult {
    let fixture = fixture();
    let end = Server::start(vec![Answer::File(content())]);
    let start = Server::start(vec![Answer::Redirect(end.url("/end"))]);
    arrives(
        &fixture,
        &[format!("http://user:secret@{}/a", start.address())],
    )?;
    assert!(start.requests()[0].header("authorization").is_some());
    let there = &end.requests()[0];
    assert_eq!(
        (
            there.path.as_str(),
            there.header("authorization"),
            there.header("referer")
        ),
        ("/end", None, None)
    );
    let told = format!("{:?}", fixture.events.lock().unwrap());
    assert!(!told.contains("secret"), "{told}");
    Ok(())
}

#[test]
fn endless_redirects_are_given_up() {
    let fixture = fixture();
    let server = Server::start(vec![Answer::Redirect("/again".to_owned())]);
    let failure = fixture.failure(&file(&[server.url("/a")]));
    assert!(
        chain(&failure).contains("too many redirects"),
        "{}",
        chain(&failure)
    );
}

#[test]
fn a_file_larger_than_allowed_is_left() {
    let mut fixture = fixture();
    fixture.options.fetch.max_bytes = 1000;
    let server = Server::start(vec![Answer::File(content())]);
    let failure = fixture.failure(&file(&[server.url("/a")]));
    assert!(
        chain(&failure).ends_with("the file has more than 1000 bytes"),
        "{}",
        chain(&failure)
    );
}

#[test]
fn offline_names_what_is_missing_and_asks_nobody() -> TestResult {
    let mut fixture = fixture();
    fixture.options.fetch.offline = true;
    let server = Server::start(vec![Answer::File(content())]);
    let failure = fixture.failure(&file(&[server.url("/a")]));
    assert_eq!(
        chain(&failure),
        format!(
            "cannot fetch `file.tar`\n`file.tar` is not on this machine and nothing is fetched while offline\n  {}",
            server.url("/a")
        )
    );
    assert!(server.requests().is_empty());
    let local = fixture.root().join("local file");
    std::fs::write(&local, content())?;
    arrives(
        &fixture,
        &[
            server.url("/a"),
            format!("file://{}", local.display()).replace(' ', "%20"),
        ],
    )
}

#[test]
fn many_files_are_fetched_at_once() -> TestResult {
    let mut fixture = fixture();
    fixture.options.jobs = 1;
    // Each answer waits for the others: it works only when they are asked for together.
    let server = Server::start(vec![Answer::File(content())]);
    let files: Vec<_> = (0..8)
        .map(|number| {
            fetch(
                &format!("file-{number}"),
                &[server.url(&format!("/{number}"))],
                digest(&content()),
            )
        })
        .collect();
    let done = fixture.realise(&files.iter().collect::<Vec<_>>())?;
    assert_eq!(done.counts.fetched + done.counts.shared, 8);
    Ok(())
}
