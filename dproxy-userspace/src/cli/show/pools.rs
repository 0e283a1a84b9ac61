use super::{Sheet, counted, health, path, policy, weight};
use crate::api::{Backend, Backends, Pool, Pools, Switch};
use crate::cli::style::{Paint, Style};
use crate::cli::table::{Align, Cell, Table};

/// `dproxy pool list`.
pub(in crate::cli) fn pools(pools: &Pools, style: Style) -> Vec<String> {
    let mut table = Table::new(&[
        ("POOL", Align::Left),
        ("POLICY", Align::Left),
        ("BACKENDS", Align::Right),
        ("REACHABLE", Align::Right),
        ("ROUTES", Align::Right),
    ]);
    for pool in &pools.pools {
        let reachable = pool.backends.iter().filter(|backend| backend.reachable).count();
        let paint = if reachable == pool.backends.len() { Paint::Good } else { Paint::Bad };
        table.row([
            (&pool.name).into(),
            policy(pool).into(),
            pool.backends.len().into(),
            Cell::painted(reachable, paint),
            pool.routes.into(),
        ]);
    }
    if table.is_empty() { vec!["There are no pools.".to_owned()] } else { table.lines(style) }
}

/// `dproxy pool show`.
pub(in crate::cli) fn pool(pool: &Pool, style: Style) -> Vec<String> {
    let mut sheet = Sheet::new(style);
    sheet.line("pool", &pool.name);
    sheet.line("policy", policy(pool));
    if let Some(primary) = pool.primary {
        sheet.line("primary", format!("{primary}, for NOTIFY and UPDATE"));
    }
    if pool.proxy_protocol {
        sheet.line("PROXY", "protocol version 2: all queries take the slow path");
    }
    if let Some(Switch { to, percent }) = &pool.switch {
        sheet.painted("switch", &format!("{percent} % of the clients to pool {to}"), Paint::Warning);
    }
    sheet.line("used by", counted(pool.routes, "route"));
    sheet.append(members(pool).lines(style));
    sheet.lines
}

/// The backends of one pool.
pub(super) fn members(pool: &Pool) -> Table {
    let mut table = Table::new(&[
        ("BACKEND", Align::Left),
        ("WEIGHT", Align::Right),
        ("SHARE", Align::Right),
        ("PATH", Align::Left),
        ("NEXT HOP", Align::Left),
        ("SOURCE", Align::Left),
    ]);
    let part = |backend: &Backend| if backend.drained { 0 } else { u32::from(backend.weight) };
    let sum: u32 = pool.backends.iter().map(part).sum();
    for backend in &pool.backends {
        let share = f64::from(part(backend)) * 100.0 / f64::from(sum.max(1));
        let hop = backend.next_hop.as_ref();
        let vlans =
            hop.map_or(String::new(), |hop| hop.vlans.iter().map(|id| format!(" VLAN {id}")).collect());
        table.row([
            backend.address.into(),
            weight(backend),
            format!("{share:.0} %").into(),
            path(backend),
            hop.map_or(String::new(), |hop| format!("{}{vlans}", hop.mac)).into(),
            hop.map_or(String::new(), |hop| hop.source.to_string()).into(),
        ]);
    }
    table
}

/// `dproxy backend list`.
pub(in crate::cli) fn backends(backends: &Backends, style: Style) -> Vec<String> {
    let is_checked = backends.backends.iter().any(|member| member.backend.health.is_some());
    let mut columns = vec![
        ("POOL", Align::Left),
        ("BACKEND", Align::Left),
        ("WEIGHT", Align::Right),
        ("PATH", Align::Left),
    ];
    if is_checked {
        columns.extend([("DOWN", Align::Right), ("HEALTH", Align::Left)]);
    }
    let mut table = Table::new(&columns);
    for member in &backends.backends {
        let backend = &member.backend;
        let mut cells: Vec<Cell> =
            vec![(&member.pool).into(), backend.address.into(), weight(backend), path(backend)];
        if is_checked {
            let times = backend.health.as_ref().map(|health| match health.flaps {
                1 => "once".to_owned(),
                flaps => format!("{flaps} times"),
            });
            cells.extend([times.unwrap_or_default().into(), health(backend)]);
        }
        table.row(cells);
    }
    if table.is_empty() { vec!["There are no backends.".to_owned()] } else { table.lines(style) }
}
