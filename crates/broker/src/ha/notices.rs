//! What the state machine tells people, as log lines with the codes that Artemis users search for.

use pair::{Notice, Side, View, Waiting};
use tracing::{error, info, warn};

/// Logs a notice of this side's machine.
pub(crate) fn log(side: Side, notice: &Notice) {
    match notice {
        Notice::TookOver { .. } if side == Side::Primary => {
            info!("AMQ221035: primary lock obtained: {notice}");
        }
        Notice::Serving { .. } => match side {
            Side::Primary => info!("AMQ221007: server is now active: {notice}"),
            Side::Backup => info!("AMQ221010: backup server is now active: {notice}"),
        },
        Notice::HandingOver {
            to: Side::Primary,
            id,
        } if side == Side::Backup && id.contains("failback") => {
            info!("AMQ221008: the primary has returned and wants to serve: {notice}");
        }
        Notice::FailbackRefused { .. } => error!("AMQ224056: {notice}"),
        Notice::TakingOver { .. }
        | Notice::TookOver { .. }
        | Notice::HandingOver { .. }
        | Notice::AskedForFailback { .. }
        | Notice::SwitchoverWaits { .. }
        | Notice::RecordRecreated { .. }
        | Notice::Admitted { .. }
        | Notice::Following { .. }
        | Notice::ArbiterBack => info!("{notice}"),
        Notice::TakeoverLost { .. }
        | Notice::SteppingDown { .. }
        | Notice::HandoverUnused { .. }
        | Notice::RefusedSwitchover(_)
        | Notice::LocksUnproven { .. }
        | Notice::RecordMissing { .. }
        | Notice::ArbiterLost(_)
        | Notice::WriteRefused(_)
        | Notice::PortsTaken(_)
        | Notice::TermFileFailed(_)
        | Notice::Holding { .. }
        | Notice::Removed { .. }
        | Notice::StopUnrecorded => warn!("{notice}"),
        Notice::TermFileAbsent { .. }
        | Notice::RecordFormat { .. }
        | Notice::StoreRenewed
        | Notice::LocksBroken => {
            error!("{notice}");
        }
    }
}

/// Logs that a standby has settled, once for each time it does.
pub(crate) fn log_standby(side: Side, view: &View) {
    if let Waiting::ActiveLost { holder, .. } = &view.waiting {
        info!(
            "AMQ221109: the {side} stands by with its own copy, waits for the {holder} to fail before it becomes active (epoch {})",
            view.epoch
        );
        return;
    }
    let (Waiting::HolderEnds { holder }
    | Waiting::HolderLost { holder, .. }
    | Waiting::HolderSilent { holder, .. }
    | Waiting::ActiveLost { holder, .. }) = &view.waiting
    else {
        return;
    };
    match side {
        Side::Primary => info!(
            "AMQ221034: waiting indefinitely to obtain the primary lock: the {holder} is active with epoch {}",
            view.epoch
        ),
        Side::Backup => info!(
            "AMQ221109: backup started, waits for the {holder} to fail before it becomes active (epoch {})",
            view.epoch
        ),
    }
}
