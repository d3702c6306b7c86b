//! No network but `lo`.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use sandbox::{Network, SandboxSpec};

use crate::fixture::{Inside, TestResult};

#[test]
fn only_the_loopback_interface_exists_and_it_works() -> TestResult {
    let inside = Inside::new()?;
    let output = inside.attempt(&["print_file=/proc/net/dev", "use_loopback"])?;
    let interfaces: Vec<_> = output
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim())
        .collect();
    assert_eq!(interfaces, ["lo", "print_file", "use_loopback"]);
    assert!(output.ends_with("use_loopback: ok\n"));
    Ok(())
}

#[test]
fn addresses_outside_are_unreachable() -> TestResult {
    Inside::new()?.expect(&[("connect_inet=192.0.2.1:80", "ENETUNREACH")])
}

#[test]
fn a_server_on_the_hosts_loopback_is_not_reached() -> TestResult {
    let server = TcpListener::bind("127.0.0.1:0")?;
    let attempt = format!("connect_inet=127.0.0.1:{}", server.local_addr()?.port());
    Inside::new()?.expect(&[(&attempt, "ECONNREFUSED")])
}

#[test]
fn an_abstract_socket_of_the_host_is_not_reached() -> TestResult {
    let name = format!("pith-sandbox-test-{}", std::process::id());
    let server = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
    Inside::new()?.expect(&[(&format!("connect_abstract={name}"), "ECONNREFUSED")])?;
    drop(server);
    Ok(())
}

#[test]
fn a_shared_network_is_the_callers() -> TestResult {
    let server = TcpListener::bind("127.0.0.1:0")?;
    let inside = Inside::new()?;
    let attempt = format!("connect_inet=127.0.0.1:{}", server.local_addr()?.port());
    let (_, output) = inside.run(&SandboxSpec {
        network: Network::Shared,
        ..inside.spec(&[&attempt])
    })?;
    assert_eq!(output, "connect_inet: ok\n");
    Ok(())
}

#[test]
fn unusual_socket_families_are_refused() -> TestResult {
    Inside::new()?.expect(&[
        ("vsock", "EAFNOSUPPORT"),
        ("packet_socket", "EAFNOSUPPORT"),
        ("netlink_audit", "EAFNOSUPPORT"),
        ("netlink_route", "ok"),
        ("raw_socket", "EPERM"),
    ])
}
