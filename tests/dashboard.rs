//! The dashboard in a browser: what it shows, what can be done in it, how it gets on without its server.

#![cfg(all(feature = "admin", feature = "cli"))]

mod support;

use support::admin::Admin;
use support::browser::check_policy;

#[test]
fn the_policy_lets_the_page_run_what_stands_in_it_and_nothing_else() {
    let server =
        support::Probe::new().start_with(|config| config.admin = Some("127.0.0.1:0".to_owned()));
    let admin = Admin::at(server.server.admin_addr().expect("an admin listener"));
    check_policy(&admin.get("/"), "control/dashboard.rs");
}
