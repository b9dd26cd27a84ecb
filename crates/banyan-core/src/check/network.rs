//! Machines: keys, routes and addresses.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};
use jiff::Timestamp;

use super::people::expired;
use super::place;
use crate::{At, ClusterSpec, Document, Finding, MachineSpec, Name, Pos, control_range_v6};

type Machines = BTreeMap<Name, Arc<Document<MachineSpec>>>;

pub(super) fn check_machines(machines: &Machines, now: Timestamp, findings: &mut Vec<Finding>) {
    check_keys(machines, findings);
    check_routes(machines, findings);
    for machine in machines.values() {
        if let Some(expires) = machine.spec.expires.as_ref()
            && expires.value <= now
        {
            findings.push(expired(
                &machine.path,
                "machine",
                &machine.name.value,
                expires,
            ));
        }
    }
}

fn check_keys(machines: &Machines, findings: &mut Vec<Finding>) {
    let mut owners = HashMap::with_capacity(machines.len());
    for machine in machines.values() {
        let Some(key) = machine.spec.public_key.value.value() else {
            continue;
        };
        if let Some(first) = owners.insert(key, machine) {
            let message = format!(
                "machine {} has the public key of machine {} ({})",
                machine.name.value,
                first.name.value,
                place(first)
            );
            let pos = machine.spec.public_key.pos;
            findings.push(
                Finding::error(&machine.path, pos, "duplicate-key", message)
                    .help("every machine makes its own key; run `init` on one of them again"),
            );
        }
    }
}

/// Sorted by first address, longest range first, a range can only overlap one that is still open.
fn check_routes(machines: &Machines, findings: &mut Vec<Finding>) {
    let mut routes: Vec<(&At<IpNet>, &Document<MachineSpec>)> = machines
        .values()
        .flat_map(|m| m.spec.routes.iter().map(move |route| (route, &**m)))
        .collect();
    routes.sort_by_key(|(route, m)| {
        (
            route.value.network(),
            route.value.prefix_len(),
            &m.name.value,
        )
    });
    let mut open: Option<(&At<IpNet>, &Document<MachineSpec>)> = None;
    for (route, machine) in routes {
        match open {
            Some((outer, owner)) if outer.value.contains(&route.value) => {
                let message = format!(
                    "route {} overlaps route {} of machine {} ({}:{})",
                    route.value, outer.value, owner.name.value, owner.path, outer.pos.line
                );
                findings.push(
                    Finding::error(&machine.path, route.pos, "overlapping-routes", message)
                        .help("a subnet lies behind one machine only"),
                );
            }
            _ => open = Some((route, machine)),
        }
    }
}

fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

pub(super) fn check_ranges(
    cluster: &Document<ClusterSpec>,
    machines: &Machines,
    findings: &mut Vec<Finding>,
) {
    let control = cluster.spec.control_range.value;
    let mesh = &cluster.spec.mesh_range;
    if overlap(&control.into(), &mesh.value.into()) {
        let message = format!("mesh range {} overlaps control range {control}", mesh.value);
        findings.push(
            Finding::error(&cluster.path, mesh.pos, "overlapping-ranges", message)
                .help("choose two ranges that share no address"),
        );
    }
    let reserved: [(&str, IpNet); 3] = [
        ("control", control.into()),
        ("control", control_range_v6().into()),
        ("mesh", mesh.value.into()),
    ];
    let mut taken = BTreeMap::new();
    for machine in machines.values() {
        check_reserved(machine, &reserved, findings);
        if let Some(address) = &machine.spec.mesh_address {
            check_mesh_address(machine, address, mesh.value, &mut taken, findings);
        }
    }
}

fn check_reserved(
    machine: &Document<MachineSpec>,
    reserved: &[(&str, IpNet)],
    findings: &mut Vec<Finding>,
) {
    for route in &machine.spec.routes {
        for (what, range) in reserved {
            if overlap(&route.value, range) {
                let message = format!("route {} overlaps the {what} range {range}", route.value);
                findings.push(
                    Finding::error(&machine.path, route.pos, "reserved-route", message)
                        .help("the tunnels' own addresses cannot be routed elsewhere"),
                );
            }
        }
    }
}

fn check_mesh_address(
    machine: &Document<MachineSpec>,
    address: &At<Ipv4Addr>,
    range: Ipv4Net,
    taken: &mut BTreeMap<Ipv4Addr, (Name, Pos)>,
    findings: &mut Vec<Finding>,
) {
    let at = address.value;
    let mut push = |rule, message: String, help: &str| {
        findings.push(Finding::error(&machine.path, address.pos, rule, message).help(help));
    };
    if !range.contains(&at) || at == range.network() || at == range.broadcast() {
        let message = format!("mesh address {at} is no host address of the mesh range {range}");
        push(
            "address-outside-range",
            message,
            "choose one inside, or leave the field out",
        );
    }
    let name = machine.name.value.clone();
    if let Some((owner, _)) = taken.insert(at, (name, address.pos)) {
        let message = format!(
            "mesh address {} is taken by machine {owner}",
            IpAddr::from(at)
        );
        push(
            "address-taken",
            message,
            "choose another, or leave the field out",
        );
    }
}
