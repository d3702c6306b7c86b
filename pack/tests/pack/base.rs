//! Images on a base: its layers come first, it is inherited from, and its links are followed.

use std::{collections::BTreeMap, error::Error, fs, path::Path};

use pack::{
    Base, FileSpec, Format, Image, ImageReport, ImageSpec, PackOptions, Written,
    existing::{ExistingError, ExistingImage, FileKind},
    oci::{Digest, ManifestType},
    validate,
};
use serde_json::{Value, json};
use store::{PathInfo, StorePath};

use crate::{
    fixture::{Fixture, TestResult, list_tar, unchecked},
    loopback::pull,
};

/// What an entry of a layer is.
#[derive(Clone, Copy)]
enum Kind {
    /// With mode and owner.
    Directory(u32, u64),
    File(&'static str),
    Link(&'static str),
}
use Kind::{Directory, File, Link};

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nwww:x:33:34::/var/www:/bin/sh\n";

/// A base as others make it: merged directories, a deleted file, a directory that was emptied and filled again.
const LAYERS: &[&[(&str, Kind)]] = &[
    &[
        ("./", Directory(0o755, 0)),
        ("./usr/", Directory(0o755, 0)),
        ("./usr/bin/", Directory(0o751, 7)),
        ("./usr/bin/sh", File("shell")),
        ("./usr/bin/gone", File("deleted")),
        ("./bin", Link("usr/bin")),
        ("./etc/", Directory(0o755, 0)),
        ("./etc/passwd", File(PASSWD)),
        ("./etc/group", File("root:x:0:\nwww:x:34:\n")),
        ("./etc/hosts", File("127.0.0.1 base\n")),
        ("./srv/", Directory(0o755, 0)),
        ("./srv/old", File("old")),
        ("./var/", Directory(0o755, 0)),
        ("./var/run", Link("/run")),
        ("./run/", Directory(0o755, 0)),
        ("./tmp/", Directory(0o1777, 0)),
    ],
    &[
        ("usr/bin/.wh.gone", File("")),
        ("srv/", Directory(0o755, 0)),
        ("srv/.wh..wh..opq", File("")),
        ("srv/new", File("new")),
    ],
];

fn config() -> Value {
    json!({
        "User": "www", "Env": ["PATH=/usr/bin", "LANG=C.UTF-8"], "Entrypoint": ["/bin/sh", "-c"], "Cmd": ["serve"],
        "WorkingDir": "/srv", "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/data": {}}, "Labels": {"vendor": "base"},
        "StopSignal": "SIGQUIT", "OnBuild": null, "Healthcheck": {"Test": ["CMD-SHELL", "true"]}
    })
}

fn layer(entries: &[(&str, Kind)]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, kind) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(1_700_000_000);
        header.set_mode(0o755);
        let contents: &[u8] = match kind {
            Directory(mode, uid) => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(*mode);
                header.set_uid(*uid);
                &[]
            }
            File(text) => text.as_bytes(),
            Link(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_link_name(target)?;
                &[]
            }
        };
        header.set_size(contents.len() as u64);
        builder.append_data(&mut header, path, contents)?;
    }
    Ok(builder.into_inner()?)
}

/// Writes a layout with an image of these layers, in docker's words.
fn write_base(
    place: &Path,
    layers: &[&[(&str, Kind)]],
    config: &Value,
) -> Result<Vec<Digest>, Box<dyn Error>> {
    let blobs = place.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let put = |kind: &str, bytes: &[u8]| -> Result<Value, Box<dyn Error>> {
        let digest = Digest::of(bytes);
        fs::write(blobs.join(digest.to_hex()), bytes)?;
        Ok(json!({"mediaType": kind, "digest": digest, "size": bytes.len()}))
    };
    let mut descriptors = Vec::new();
    let mut digests = Vec::new();
    for entries in layers {
        let tar = layer(entries)?;
        let kind = "application/vnd.docker.image.rootfs.diff.tar";
        descriptors.push(put(kind, &tar)?);
        digests.push(Digest::of(&tar));
    }
    let mut history = vec![
        json!({"created_by": "first"}),
        json!({"created_by": "ENV", "empty_layer": true}),
    ];
    history.resize(1 + layers.len(), json!({"created_by": "a further one"}));
    let config = json!({
        "architecture": "amd64", "os": "linux", "author": "somebody", "config": config,
        "rootfs": {"type": "layers", "diff_ids": digests},
        "history": history,
    });
    let kind = "application/vnd.docker.container.image.v1+json";
    let config = put(kind, config.to_string().as_bytes())?;
    let kind = "application/vnd.docker.distribution.manifest.v2+json";
    let manifest =
        json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": descriptors});
    let mut entry = put(kind, manifest.to_string().as_bytes())?;
    entry["annotations"] = json!({"io.containerd.image.name": "registry.example/base:1"});
    let index = json!({"schemaVersion": 2, "manifests": [entry]});
    fs::write(place.join("index.json"), index.to_string())?;
    fs::write(
        place.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )?;
    Ok(digests)
}

/// What came of packing on a base.
struct Packed {
    written: Written,
    report: ImageReport,
    place: std::path::PathBuf,
}

fn pack_on(
    fixture: &Fixture,
    base: &Path,
    roots: &[&PathInfo],
    spec: &ImageSpec,
    format: Format,
    name: &str,
) -> Result<Packed, Box<dyn Error>> {
    pack_with(fixture, base, roots, spec, &unchecked(), format, name)
}

fn pack_with(
    fixture: &Fixture,
    base: &Path,
    roots: &[&PathInfo],
    spec: &ImageSpec,
    options: &PackOptions,
    format: Format,
    name: &str,
) -> Result<Packed, Box<dyn Error>> {
    let roots: Vec<StorePath> = roots.iter().map(|info| info.path.clone()).collect();
    let existing = ExistingImage::open(base, None)?;
    let base = Base::load(&existing, &spec.platform)?;
    let image = Image::on_base(&fixture.store, &roots, spec, options, &|_| (), base)?;
    let place = fixture.place(name);
    let written = image.write(format, &place)?;
    Ok(Packed {
        written,
        report: image.report(),
        place,
    })
}

/// The manifest and the configuration of the one image of a layout.
fn documents(layout: &Path) -> Result<(Value, Value), Box<dyn Error>> {
    let read = |digest: &Value| -> Result<Value, Box<dyn Error>> {
        let digest: Digest = digest.as_str().ok_or("a digest")?.parse()?;
        Ok(serde_json::from_slice(&blob(layout, digest)?)?)
    };
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json"))?)?;
    let manifest = read(&index["manifests"][0]["digest"])?;
    let config = read(&manifest["config"]["digest"])?;
    Ok((manifest, config))
}

fn blob(layout: &Path, digest: Digest) -> std::io::Result<Vec<u8>> {
    fs::read(layout.join("blobs/sha256").join(digest.to_hex()))
}

/// By path, mode and target or contents.
type Entries = BTreeMap<String, (u32, Vec<u8>)>;

/// The entries of the own layers of an image on a base of two layers: path, mode and target or contents.
fn own_entries(layout: &Path) -> Result<Entries, Box<dyn Error>> {
    let (manifest, _) = documents(layout)?;
    let mut entries = BTreeMap::new();
    for layer in manifest["layers"]
        .as_array()
        .ok_or("layers")?
        .iter()
        .skip(2)
    {
        let digest: Digest = layer["digest"].as_str().ok_or("a digest")?.parse()?;
        let bytes = blob(layout, digest)?;
        for (path, mode, contents) in list_tar(flate2::read::MultiGzDecoder::new(&bytes[..]))? {
            entries.insert(path, (mode, contents));
        }
    }
    Ok(entries)
}

#[test]
fn the_layers_of_the_base_come_first_as_they_are() -> TestResult {
    let fixture = Fixture::new()?;
    let base = fixture.place("base");
    let digests = write_base(&base, LAYERS, &config())?;
    let hello = [&fixture.hello];
    let packed = pack_on(&fixture, &base, &hello, &fixture.spec(), Format::Oci, "out")?;
    let (manifest, config) = documents(&packed.place)?;
    for (index, digest) in digests.iter().enumerate() {
        assert_eq!(manifest["layers"][index]["digest"], json!(digest));
        assert_eq!(
            manifest["layers"][index]["mediaType"],
            "application/vnd.oci.image.layer.v1.tar"
        );
        assert_eq!(config["rootfs"]["diff_ids"][index], json!(digest));
        assert_eq!(blob(&packed.place, *digest)?, blob(&base, *digest)?);
    }
    let annotations = &manifest["annotations"];
    assert_eq!(annotations["pith.pack.base-layers"], "2");
    assert_eq!(
        annotations["org.opencontainers.image.base.name"],
        "registry.example/base:1"
    );
    let digest = ExistingImage::open(&base, None)?.digest()?;
    assert_eq!(
        annotations["org.opencontainers.image.base.digest"],
        json!(digest)
    );
    let found = validate(&packed.place)?;
    assert_eq!(found.mismatches, []);
    assert_eq!((found.base_layers, found.objects), (digests, 2));

    let archive = pack_on(
        &fixture,
        &base,
        &hello,
        &fixture.spec(),
        Format::Archive,
        "a.tar",
    )?;
    assert_eq!(
        archive.written.manifest_digest,
        packed.written.manifest_digest
    );
    assert_eq!(validate(&archive.place)?.mismatches, []);
    // From an archive of the same base, nothing is different.
    let copy = fixture.place("base.tar");
    let name = "registry.example/base:1".parse()?;
    ExistingImage::open(&base, None)?.copy(None, FileKind::Archive, &name, &copy)?;
    let again = pack_on(&fixture, &copy, &hello, &fixture.spec(), Format::Oci, "out")?;
    assert!(again.written.unchanged);
    Ok(())
}

#[test]
fn the_image_is_run_as_its_base_where_nothing_is_said() -> TestResult {
    let fixture = Fixture::new()?;
    let base = fixture.place("base");
    write_base(&base, LAYERS, &config())?;
    let libc = [&fixture.libc];
    let docker = PackOptions {
        manifest_type: ManifestType::Docker,
        ..unchecked()
    };
    let spec = fixture.spec();
    let packed = pack_with(&fixture, &base, &libc, &spec, &docker, Format::Oci, "out")?;
    let (manifest, found) = documents(&packed.place)?;
    let mut expected = config();
    let fields = expected.as_object_mut().ok_or("an object")?;
    fields.remove("OnBuild");
    fields.insert("Env".to_owned(), json!(["LANG=C.UTF-8", "PATH=/usr/bin"]));
    // What an annotation says of an image in OCI's words.
    expected["Labels"]["pith.pack.base-layers"] = json!("2");
    assert_eq!(found["config"], expected);
    assert_eq!(
        manifest["layers"][0]["mediaType"],
        "application/vnd.docker.image.rootfs.diff.tar"
    );
    let history = found["history"].as_array().ok_or("a history")?;
    assert_eq!(history[0]["created_by"], "first");
    assert_eq!(history[1]["empty_layer"], true);
    let of_layers = history.iter().filter(|entry| entry["empty_layer"] != true);
    let layers = manifest["layers"].as_array().ok_or("layers")?.len();
    assert_eq!(of_layers.count(), layers);
    // The base has the user, and nothing else to be added to.
    assert!(!own_entries(&packed.place)?.contains_key("etc/passwd"));

    let mut spec = fixture.spec();
    spec.entrypoint = Some(vec!["/bin/sh".to_owned()]);
    spec.user = Some("4711:33".parse()?);
    spec.env.insert("LANG".to_owned(), "de".to_owned());
    let packed = pack_on(&fixture, &base, &libc, &spec, Format::Oci, "own")?;
    let (_, found) = documents(&packed.place)?;
    assert_eq!(found["config"]["Entrypoint"], json!(["/bin/sh"]));
    assert_eq!(found["config"].get("Cmd"), None);
    assert_eq!(found["config"]["User"], "4711:33");
    assert_eq!(found["config"]["Env"], json!(["LANG=de", "PATH=/usr/bin"]));
    let entries = own_entries(&packed.place)?;
    let passwd = String::from_utf8(entries["etc/passwd"].1.clone())?;
    assert_eq!(
        passwd,
        format!("{PASSWD}app:x:4711:33:app:/:/sbin/nologin\n")
    );
    let group = String::from_utf8(entries["etc/group"].1.clone())?;
    assert_eq!(group, "root:x:0:\nwww:x:34:\napp:x:33:\n");
    Ok(())
}

#[test]
fn links_of_the_base_are_followed_and_its_directories_stay_what_they_are() -> TestResult {
    let fixture = Fixture::new()?;
    let base = fixture.place("base");
    write_base(&base, LAYERS, &config())?;
    let mut spec = fixture.spec();
    let file = |text: &str| FileSpec {
        contents: text.into(),
        executable: false,
    };
    // Deleted by the base, emptied by the base, below a link, and there.
    spec.files = ["/bin/gone", "/srv/old", "/var/run/app/pid", "/srv/new"]
        .map(|path| (path.to_owned(), file(path)))
        .into();
    let packed = pack_on(
        &fixture,
        &base,
        &[&fixture.hello],
        &spec,
        Format::Oci,
        "out",
    )?;
    let entries = own_entries(&packed.place)?;
    for path in [
        "usr/bin/hello",
        "usr/bin/gone",
        "srv/old",
        "run/app/pid",
        "srv/new",
    ] {
        assert!(entries.contains_key(path), "{path}");
    }
    assert_eq!(entries["usr/bin/"].0, 0o751);
    let not_there = [
        "bin",
        "bin/",
        "bin/hello",
        "var/run/",
        "tmp/",
        "etc/hosts",
        "etc/passwd",
    ];
    for path in not_there {
        assert!(!entries.contains_key(path), "{path}");
    }
    let base = packed.report.base.ok_or("a base")?;
    assert_eq!(base.replaced, ["/srv/new"]);
    // The bill names them as they were asked for, wherever the base leads.
    assert_eq!(validate(&packed.place)?.mismatches, []);
    Ok(())
}

#[test]
fn what_has_no_place_on_the_base_is_refused() -> TestResult {
    let fixture = Fixture::new()?;
    let base = fixture.place("base");
    write_base(&base, LAYERS, &config())?;
    let hello = [&fixture.hello];
    let failed =
        |spec: &ImageSpec, format| match pack_on(&fixture, &base, &hello, spec, format, "x") {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
    let mut spec = fixture.spec();
    let links = [("/usr/bin/sh/x".to_owned(), "y".to_owned())];
    spec.links = Some(links.into());
    assert_eq!(
        failed(&spec, Format::Oci),
        "`/usr/bin/sh` of the image's specification has no place on the base: a file is where a directory has to be"
    );
    for format in [
        Format::Tar,
        Format::Directory,
        Format::Squashfs,
        Format::Run,
    ] {
        let error = failed(&fixture.spec(), format);
        assert!(error.contains("on a base cannot be written as"), "{error}");
    }
    let mut arm = fixture.spec();
    arm.platform = "linux/arm64".parse()?;
    assert!(failed(&arm, Format::Oci).starts_with("cannot use the base image"));
    assert_eq!(fixture.left_overs()?, Vec::<std::path::PathBuf>::new());
    Ok(())
}

#[test]
fn a_base_is_served_as_it_is_below_its_image() -> TestResult {
    let fixture = Fixture::new()?;
    let place = fixture.place("base");
    let digests = write_base(&place, LAYERS, &config())?;
    let existing = ExistingImage::open(&place, None)?;
    let spec = fixture.spec();
    let base = Base::load(&existing, &spec.platform)?;
    let roots = [fixture.hello.path.clone()];
    let image = Image::on_base(&fixture.store, &roots, &spec, &unchecked(), &|_| (), base)?;
    let (digest, below) = image.serve_while(pull)??;
    assert_eq!((digest, below), (image.manifest_digest()?, digests));
    Ok(())
}

#[test]
fn a_damaged_base_is_found_when_it_is_copied() -> TestResult {
    let fixture = Fixture::new()?;
    let base = fixture.place("base");
    let digests = write_base(&base, LAYERS, &config())?;
    let place = base.join("blobs/sha256").join(digests[0].to_hex());
    let mut bytes = fs::read(&place)?;
    let at = bytes
        .windows(5)
        .position(|w| w == b"shell")
        .ok_or("a shell")?;
    bytes[at] = b'S';
    fs::write(&place, bytes)?;
    let hello = [&fixture.hello];
    for (format, name) in [(Format::Archive, "a.tar"), (Format::Oci, "o")] {
        let result = pack_on(&fixture, &base, &hello, &fixture.spec(), format, name);
        let error = result.err().ok_or("it is damaged")?;
        let cause = error.source().ok_or("a cause")?.to_string();
        assert!(cause.contains("is damaged"), "{error}: {cause}");
        assert!(!fixture.place(name).exists());
    }
    Ok(())
}

#[test]
fn an_image_of_ours_is_a_base_and_a_layer_of_both_is_there_once() -> TestResult {
    let fixture = Fixture::new()?;
    let base = fixture.place("base.tar");
    let per_path = PackOptions {
        layers: pack::layer::LayerMode::PerPath,
        ..unchecked()
    };
    let libc = [&fixture.libc];
    let mut spec = fixture.spec();
    spec.name = "libc".parse()?;
    fixture.pack(&libc, &spec, &per_path, Format::Archive, &base)?;
    fs::remove_dir_all(fixture.store.layers_dir())?;
    for name in ["new.tar", "known.tar"] {
        let spec = fixture.spec();
        let hello = [&fixture.hello];
        let packed = pack_with(
            &fixture,
            &base,
            &hello,
            &spec,
            &per_path,
            Format::Archive,
            name,
        )?;
        let found = validate(&packed.place)?;
        assert_eq!(found.mismatches, []);
        let members = list_tar(fs::File::open(&packed.place)?)?;
        let paths: std::collections::BTreeSet<_> = members.iter().map(|(path, ..)| path).collect();
        assert_eq!(paths.len(), members.len(), "each member once");
    }
    let [new, known] = ["new.tar", "known.tar"].map(|name| fs::read(fixture.place(name)));
    assert_eq!(new?, known?);
    Ok(())
}

#[test]
fn an_image_moves_to_a_newer_base_only_where_it_fits() -> TestResult {
    let fixture = Fixture::new()?;
    let base = fixture.place("base");
    write_base(&base, LAYERS, &config())?;
    let hello = [&fixture.hello];
    let packed = pack_on(&fixture, &base, &hello, &fixture.spec(), Format::Oci, "out")?;
    let newer: &[&[(&str, Kind)]] = &[LAYERS[0], LAYERS[1], &[("etc/new", File("new"))]];
    let hiding: &[&[(&str, Kind)]] = &[LAYERS[0], LAYERS[1], &[("usr/bin/hello", File("theirs"))]];
    let open = |path: &Path| ExistingImage::open(path, None);
    let (image, old) = (open(&packed.place)?, open(&base)?);
    let (fits, hides) = (fixture.place("fits"), fixture.place("hides"));
    write_base(&fits, newer, &config())?;
    write_base(&hides, hiding, &config())?;

    let (fits, hides) = (open(&fits)?, open(&hides)?);
    let rebased = image.rebase(None, &old, &fits)?;
    let out = fixture.place("rebased");
    rebased.copy(None, FileKind::Layout, &"hello".parse()?, &out)?;
    let found = validate(&out)?;
    assert_eq!(found.mismatches, []);
    assert_eq!(found.base_layers.len(), 3);
    let refused = image.rebase(None, &old, &hides);
    assert!(
        matches!(refused, Err(ExistingError::Unfit { ref path, .. }) if path == "usr/bin/hello"),
        "{refused:?}"
    );
    Ok(())
}

#[test]
fn an_image_does_not_exempt_all_of_its_layers() -> TestResult {
    let fixture = Fixture::new()?;
    let layout = fixture.place("layout");
    fixture.pack_hello(Format::Oci, &layout)?;
    let (mut manifest, _) = documents(&layout)?;
    let layers = manifest["layers"].as_array().ok_or("layers")?.len();
    manifest["annotations"]["pith.pack.base-layers"] = json!(layers.to_string());
    let bytes = manifest.to_string().into_bytes();
    let digest = Digest::of(&bytes);
    fs::write(layout.join("blobs/sha256").join(digest.to_hex()), &bytes)?;
    let mut index: Value = serde_json::from_slice(&fs::read(layout.join("index.json"))?)?;
    index["manifests"][0]["digest"] = json!(digest);
    index["manifests"][0]["size"] = json!(bytes.len());
    fs::write(layout.join("index.json"), index.to_string())?;
    let found = validate(&layout)?;
    let problems: Vec<&str> = found
        .mismatches
        .iter()
        .map(|one| one.problem.as_str())
        .collect();
    assert_eq!(
        problems,
        [format!(
            "its annotation `pith.pack.base-layers` is `{layers}`, and it has {layers} layers"
        )]
    );
    Ok(())
}

#[test]
fn the_bill_of_an_image_says_on_which_it_lies() -> TestResult {
    let fixture = Fixture::new()?;
    let place = fixture.place("base");
    write_base(&place, LAYERS, &config())?;
    let existing = ExistingImage::open(&place, None)?;
    let spec = fixture.spec();
    let base = Base::load(&existing, &spec.platform)?;
    let roots = [fixture.hello.path.clone()];
    let image = Image::on_base(&fixture.store, &roots, &spec, &unchecked(), &|_| (), base)?;
    let below = image.subject(None)?.base.ok_or("it lies on one")?;
    assert_eq!(below.digest, existing.digest()?);
    let name = below.name.map(|name| name.to_string());
    assert_eq!(name.as_deref(), Some("registry.example/base:1"));
    let alone = Image::new(&fixture.store, &roots, &spec, &unchecked(), &|_| ())?;
    assert_eq!(alone.subject(None)?.base, None);
    Ok(())
}

#[test]
fn of_a_base_that_was_read_before_no_layer_is_read() -> TestResult {
    let fixture = Fixture::new()?;
    let place = fixture.place("base");
    let digests = write_base(&place, LAYERS, &config())?;
    let roots = [fixture.hello.path.clone()];
    let pack = |recalled: bool| -> Result<Digest, Box<dyn Error>> {
        let existing = ExistingImage::open(&place, None)?;
        let spec = fixture.spec();
        let base = match recalled {
            true => Base::recall(&existing, &spec.platform, &fixture.store)?,
            false => Base::load(&existing, &spec.platform)?,
        };
        let image = Image::on_base(&fixture.store, &roots, &spec, &unchecked(), &|_| (), base)?;
        Ok(image.manifest_digest()?)
    };
    let plain = pack(false)?;
    assert_eq!(pack(true)?, plain);
    // Nothing is left that could be read.
    let layer = place.join("blobs/sha256").join(digests[0].to_hex());
    let bytes = fs::read(&layer)?;
    fs::remove_file(&layer)?;
    assert!(pack(false).is_err());
    assert_eq!(pack(true)?, plain);

    // What is remembered and damaged is read again, and then it is right again.
    let memo = fixture.store.layers_dir();
    let memo = memo.join(format!("v{}", pack::layer::FORMAT_VERSION));
    let records = fs::read_dir(memo)?.map(|entry| Ok(entry?.path()));
    let records: Vec<_> = records.collect::<std::io::Result<_>>()?;
    let is_base = |path: &&std::path::PathBuf| path.extension().is_some_and(|one| one == "tree");
    let record = records.iter().find(is_base).ok_or("it is remembered")?;
    let remembered = fs::read(record)?;
    fs::write(record, &remembered[..remembered.len() / 2])?;
    assert!(pack(true).is_err());
    fs::write(&layer, bytes)?;
    assert_eq!(pack(true)?, plain);
    assert_eq!(fs::read(record)?, remembered);
    Ok(())
}
