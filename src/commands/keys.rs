//! `kith rotate-signing-key` and `kith rotate-encryption`.

use kith::app::{self, StartError};
use kith::config::Config;
use kith::features::identity::{SigningKeys, reseal};
use kith::features::secrets::rewrap;
use kith::features::{inbound, webhooks};
use kith::infra::db::{Mode, Scope};

use super::{owner_of, patient};

pub fn rotate_signing_key(config: &Config) -> Result<(), StartError> {
    if !config.auth.jwt_private_key.is_empty() {
        return Err(StartError(
            "The key comes from KITH_JWT_PRIVATE_KEY: change it there, and name the present one in auth.jwt_previous_keys.".into(),
        ));
    }
    SigningKeys::rotate(&config.server.data_dir).map_err(StartError)?;
    println!("A server that runs knows the new key within half a minute, and signs with it a minute later.");
    Ok(())
}

pub async fn rotate_encryption(config: &Config) -> Result<(), StartError> {
    let vault = app::vault(config)?;
    let (setting, owner) = owner_of(config);
    let db = app::connect(&patient(config), setting, owner).await?;
    let resealed = async {
        let tx = db.begin(&Scope::default(), Mode::Write).await?;
        let keys = rewrap(&tx, &vault).await?;
        let factors = reseal(&tx, &vault).await?;
        let hooks = webhooks::reseal(&tx, &vault).await? + inbound::reseal(&tx, &vault).await?;
        tx.commit().await?;
        Ok::<_, kith::error::Error>((keys, factors, hooks))
    };
    let (keys, factors, hooks) = resealed.await.map_err(|e| StartError(format!("nothing was changed: {e}")))?;
    println!("Sealed anew: {keys} keys of encrypted fields, {factors} second factors, {hooks} secrets of hooks.");
    db.close().await;
    Ok(())
}
