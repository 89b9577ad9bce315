//! The ways in beyond a password: second factor, links by mail, cookies, several workspaces.

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Actor, Server, on_both};

const SIGN_IN: &str = "mutation($input: SignInInput!) { signIn(input: $input) { session { accessToken refreshToken member { name } } challenge { kind token workspaces { name } } userErrors { code message } } }";
const COMPLETE: &str = "mutation($input: CompleteSignInInput!) { completeSignIn(input: $input) { session { accessToken workspace { name } } challenge { kind token workspaces { id } } userErrors { code message } } }";

async fn sign_in(anonymous: &Actor<'_>, email: &str) -> Value {
    anonymous.ask_with(SIGN_IN, json!({ "input": { "email": email, "password": "correct horse" } })).await["signIn"].take()
}

async fn complete(anonymous: &Actor<'_>, input: Value) -> Value {
    anonymous.ask_with(COMPLETE, json!({ "input": input })).await["completeSignIn"].take()
}

async fn email_of(actor: &Actor<'_>) -> String {
    actor.ask("{ viewer { member { email } } }").await["viewer"]["member"]["email"].as_str().unwrap().to_owned()
}

/// What the user's app shows now.
pub fn code(secret: &str, server: &Server) -> String {
    let totp = totp_rs::Builder::new()
        .with_algorithm(totp_rs::Algorithm::SHA1)
        .with_secret(totp_rs::Secret::try_from_base32(secret).unwrap())
        .with_account_name("x")
        .build()
        .unwrap();
    totp.generate(u64::try_from(server.clock.now().0 / 1_000_000).unwrap()).to_string()
}

/// Turns a second factor on; gives its secret and the recovery codes.
async fn enroll(actor: &Actor<'_>) -> (String, Vec<String>) {
    let begin = "mutation($password: String!) { enrollTotp(input: { password: $password }) { secret uri userErrors { code } } }";
    // A stolen access token is not enough.
    let stolen = actor.ask_with(begin, json!({ "password": "wrong horse" })).await;
    assert_eq!(stolen["enrollTotp"]["secret"], Value::Null);
    let begun = actor.ask_with(begin, json!({ "password": "correct horse" })).await["enrollTotp"].take();
    let secret = begun["secret"].as_str().unwrap().to_owned();
    assert!(begun["uri"].as_str().unwrap().starts_with("otpauth://totp/"), "{begun}");
    let confirm = "mutation($code: String!) { confirmTotp(input: { code: $code }) { recoveryCodes userErrors { code } } }";
    let wrong = actor.ask_with(confirm, json!({ "code": "000000" })).await;
    assert_eq!(wrong["confirmTotp"]["userErrors"][0]["code"], "INVALID_VALUE");
    let done = actor.ask_with(confirm, json!({ "code": code(&secret, actor.server) })).await["confirmTotp"].take();
    let codes: Vec<String> = serde_json::from_value(done["recoveryCodes"].clone()).unwrap();
    assert_eq!(codes.len(), 10);
    (secret, codes)
}

/// The token in the link of a mail. Long lines of a mail are folded with `=`.
fn token_in(mail: &str) -> String {
    let whole = mail.replace("=\r\n", "").replace("=3D", "=");
    let rest = &whole[whole.find("token=").expect("a link with a token") + 6..];
    rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "_-.".contains(*c)).collect()
}

on_both! {
    async fn a_second_factor_is_asked_for_and_a_code_is_good_once(server: &Server) {
        let admin = server.admin().await;
        let email = email_of(&admin).await;
        let (secret, codes) = enroll(&admin).await;
        let stranger = server.anonymous();
        let challenge = sign_in(&stranger, &email).await;
        assert_eq!((&challenge["session"], &challenge["challenge"]["kind"]), (&Value::Null, &json!("TOTP")));
        let token = &challenge["challenge"]["token"];
        // The code with which it was turned on is used up.
        let refused = complete(&stranger, json!({ "token": token, "code": code(&secret, server) })).await;
        assert_eq!((&refused["session"], &refused["userErrors"][0]["code"]), (&Value::Null, &json!("INVALID_VALUE")));
        server.clock.advance(30 * 1_000_000);
        let fresh = code(&secret, server);
        let done = complete(&stranger, json!({ "token": token, "code": fresh })).await;
        assert!(done["session"]["accessToken"].is_string(), "{done}");
        // Neither the token nor the code is good again.
        assert_eq!(complete(&stranger, json!({ "token": token, "code": fresh })).await["session"], Value::Null);
        let token = sign_in(&stranger, &email).await["challenge"]["token"].take();
        assert_eq!(complete(&stranger, json!({ "token": token, "code": fresh })).await["session"], Value::Null);
        // A recovery code stands in, however it is typed, once.
        let typed = codes[0].to_uppercase().replace('-', " ");
        assert!(complete(&stranger, json!({ "token": token, "code": typed })).await["session"].is_object());
        let token = sign_in(&stranger, &email).await["challenge"]["token"].take();
        assert_eq!(complete(&stranger, json!({ "token": token, "code": codes[0] })).await["session"], Value::Null);
        // Turned off with a code, and no longer asked for.
        let off = "mutation($code: String!) { disableTotp(input: { code: $code }) { disabled userErrors { code } } }";
        assert_eq!(admin.ask_with(off, json!({ "code": "123456" })).await["disableTotp"]["disabled"], false);
        assert_eq!(admin.ask_with(off, json!({ "code": codes[1] })).await["disableTotp"]["disabled"], true);
        assert!(sign_in(&stranger, &email).await["session"].is_object());
    }

    async fn codes_are_not_guessed(server: &Server) {
        let admin = server.admin().await;
        let email = email_of(&admin).await;
        let (secret, _) = enroll(&admin).await;
        server.clock.advance(30 * 1_000_000);
        let stranger = server.anonymous();
        let token = sign_in(&stranger, &email).await["challenge"]["token"].take();
        for _ in 0..5 {
            complete(&stranger, json!({ "token": token, "code": "000000" })).await;
        }
        let waiting = complete(&stranger, json!({ "token": token, "code": code(&secret, server) })).await;
        assert_eq!(waiting["userErrors"][0]["code"], "LIMIT");
        server.clock.advance(2 * 1_000_000);
        assert!(complete(&stranger, json!({ "token": token, "code": code(&secret, server) })).await["session"].is_object());
    }

    async fn a_link_by_mail_signs_in_once(server: &Server) {
        let admin = server.admin().await;
        let email = email_of(&admin).await;
        let ask = "mutation($email: String!) { requestMagicLink(input: { email: $email }) { accepted userErrors { code } } }";
        let known = server.anonymous().ask_with(ask, json!({ "email": email })).await;
        let unknown = server.anonymous().ask_with(ask, json!({ "email": "nobody@test.example" })).await;
        assert_eq!(known, unknown);
        assert_eq!(known["requestMagicLink"], json!({ "accepted": true, "userErrors": [] }));
        let token = token_in(&server.mails(&email, 1).await[0]);
        assert!(complete(&server.anonymous(), json!({ "token": token })).await["session"].is_object());
        assert_eq!(complete(&server.anonymous(), json!({ "token": token })).await["session"], Value::Null);
        // A second one, after a quarter of an hour, is no good any more.
        server.anonymous().ask_with(ask, json!({ "email": email })).await;
        let mails = server.mails(&email, 2).await;
        let other = mails.iter().map(|mail| token_in(mail)).find(|other| *other != token).unwrap();
        server.clock.advance(15 * 60 * 1_000_000);
        assert_eq!(complete(&server.anonymous(), json!({ "token": other })).await["session"], Value::Null);
    }

    async fn a_link_does_not_replace_the_second_factor(server: &Server) {
        let admin = server.admin().await;
        let email = email_of(&admin).await;
        enroll(&admin).await;
        server.anonymous().ask_with("mutation($email: String!) { requestMagicLink(input: { email: $email }) { accepted } }", json!({ "email": email })).await;
        let token = token_in(&server.mails(&email, 1).await[0]);
        let step = complete(&server.anonymous(), json!({ "token": token })).await;
        assert_eq!((&step["session"], &step["challenge"]["kind"]), (&Value::Null, &json!("TOTP")));
    }

    async fn a_forgotten_password_is_replaced_and_all_sessions_end(server: &Server) {
        let admin = server.admin().await;
        let email = email_of(&admin).await;
        let ask = "mutation($email: String!) { requestPasswordReset(input: { email: $email }) { accepted userErrors { code } } }";
        server.anonymous().ask_with(ask, json!({ "email": email })).await;
        let token = token_in(&server.mails(&email, 1).await[0]);
        let reset = "mutation($token: String!, $password: String!) { resetPassword(input: { token: $token, password: $password }) { reset userErrors { path } } }";
        let weak = server.anonymous().ask_with(reset, json!({ "token": token, "password": "password1" })).await;
        assert_eq!(weak["resetPassword"], json!({ "reset": false, "userErrors": [{ "path": ["password"] }] }));
        // The token of a link does not sign in.
        assert_eq!(complete(&server.anonymous(), json!({ "token": token })).await["session"], Value::Null);
        let done = server.anonymous().ask_with(reset, json!({ "token": token, "password": "battery staple" })).await;
        assert_eq!(done["resetPassword"]["reset"], true);
        assert_eq!(admin.refused("{ viewer { settings } }").await.0, "UNAUTHENTICATED");
        assert_eq!(sign_in(&server.anonymous(), &email).await["session"], Value::Null);
        let input = json!({ "email": email, "password": "battery staple" });
        assert!(server.anonymous().ask_with(SIGN_IN, json!({ "input": input })).await["signIn"]["session"].is_object());
        let again = server.anonymous().ask_with(reset, json!({ "token": token, "password": "another horse" })).await;
        assert_eq!(again["resetPassword"]["userErrors"], json!([{ "path": ["token"] }]));
    }

    async fn an_invitation_is_mailed(server: &Server) {
        let admin = server.admin().await;
        let invite = "mutation { inviteMember(input: { name: \"Bea\", email: \"bea@test.example\" }) { token userErrors { code } } }";
        let token = admin.ask(invite).await["inviteMember"]["token"].take();
        assert_eq!(token_in(&server.mails("bea@test.example", 1).await[0]), token.as_str().unwrap());
    }

    async fn a_user_of_several_workspaces_moves_between_them(server: &Server) {
        let admin = server.admin().await;
        let email = email_of(&admin).await;
        let make = "mutation($email: String!) { createWorkspace(input: { name: \"Second\", adminName: \"A\", email: $email, password: \"correct horse\" }) { workspaceId userErrors { code } } }";
        let second = server.anonymous().ask_with(make, json!({ "email": email })).await["createWorkspace"]["workspaceId"].take();
        let challenge = sign_in(&server.anonymous(), &email).await["challenge"].take();
        assert_eq!((&challenge["kind"], challenge["workspaces"].as_array().unwrap().len()), (&json!("WORKSPACE"), 2));
        let done = complete(&server.anonymous(), json!({ "token": challenge["token"], "workspaceId": second })).await;
        assert_eq!(done["session"]["workspace"]["name"], "Second");
        let places = admin.ask("{ viewer { workspaces { name } } }").await["viewer"]["workspaces"].take();
        assert_eq!(places.as_array().unwrap().len(), 2);
        let switch = "mutation($w: ID!) { switchWorkspace(input: { workspaceId: $w }) { session { accessToken workspace { name } } userErrors { code } } }";
        let moved = admin.ask_with(switch, json!({ "w": second })).await["switchWorkspace"].take();
        assert_eq!(moved["session"]["workspace"]["name"], "Second");
        let stranger = server.admin().await;
        let refused = stranger.ask_with(switch, json!({ "w": second })).await["switchWorkspace"].take();
        assert_eq!((&refused["session"], &refused["userErrors"][0]["code"]), (&Value::Null, &json!("INVALID_VALUE")));
    }

    async fn an_invitation_does_not_replace_the_second_factor(server: &Server) {
        let (admin, other) = (server.admin().await, server.admin().await);
        let email = email_of(&admin).await;
        enroll(&admin).await;
        let invite = "mutation($e: String!) { inviteMember(input: { name: \"A\", email: $e }) { token userErrors { code } } }";
        let token = other.ask_with(invite, json!({ "e": email })).await["inviteMember"]["token"].take();
        let accept = "mutation($t: String!) { acceptInvitation(input: { token: $t, password: \"correct horse\" }) { session { id } challenge { kind } userErrors { code } } }";
        let accepted = server.anonymous().ask_with(accept, json!({ "t": token })).await;
        assert_eq!(accepted["acceptInvitation"], json!({ "session": null, "challenge": { "kind": "TOTP" }, "userErrors": [] }));
    }

    async fn who_is_suspended_does_not_come_back_by_what_they_had(server: &Server) {
        let admin = server.admin().await;
        let bea = server.member(&admin, "Bea", "REP").await;
        let id = bea.id().await;
        for status in ["SUSPENDED", "ACTIVE"] {
            let done = admin.update("member", &id, json!({ "status": status })).await;
            assert_eq!(done["userErrors"], json!([]), "{status}");
            assert_eq!(bea.refused("{ viewer { settings } }").await.0, "UNAUTHENTICATED");
        }
    }

    async fn a_session_that_another_opened_ends_with_it(server: &Server) {
        let admin = server.admin().await;
        let email = email_of(&admin).await;
        let make = "mutation($email: String!) { createWorkspace(input: { name: \"Second\", adminName: \"A\", email: $email, password: \"correct horse\" }) { workspaceId } }";
        let second = server.anonymous().ask_with(make, json!({ "email": email })).await["createWorkspace"]["workspaceId"].take();
        let switch = "mutation($w: ID!) { switchWorkspace(input: { workspaceId: $w }) { session { accessToken } userErrors { code } } }";
        let moved = admin.ask_with(switch, json!({ "w": second })).await["switchWorkspace"]["session"]["accessToken"].as_str().unwrap().to_owned();
        let there = server.bearer(&moved);
        assert_eq!(there.ask("{ workspace { name } }").await["workspace"]["name"], "Second");
        assert_eq!(admin.ask("mutation { signOut { signedOut } }").await["signOut"]["signedOut"], true);
        assert_eq!(there.refused("{ workspace { name } }").await.0, "UNAUTHENTICATED");
    }

    async fn a_new_password_ends_what_others_hold(server: &Server) {
        let admin = server.admin().await;
        let email = email_of(&admin).await;
        let stolen = sign_in(&server.anonymous(), &email).await["session"]["accessToken"].as_str().unwrap().to_owned();
        server.anonymous().ask_with("mutation($email: String!) { requestMagicLink(input: { email: $email }) { accepted } }", json!({ "email": email })).await;
        let token = token_in(&server.mails(&email, 1).await[0]);
        let change = "mutation { changePassword(input: { present: \"correct horse\", new: \"battery staple\" }) { userErrors { code } } }";
        assert_eq!(admin.ask(change).await["changePassword"]["userErrors"], json!([]));
        assert!(admin.ask("{ viewer { settings } }").await["viewer"].is_object());
        assert_eq!(server.bearer(&stolen).refused("{ viewer { settings } }").await.0, "UNAUTHENTICATED");
        assert_eq!(complete(&server.anonymous(), json!({ "token": token })).await["session"], Value::Null);
    }

    async fn parallel_guesses_are_counted_like_others(server: &Server) {
        let admin = server.admin().await;
        let email = email_of(&admin).await;
        let origin = kith::platform::Origin { address: Some("198.51.100.7".into()), user_agent: None };
        let guess = async |n: usize| server.app.identity.sign_in(&email, &format!("guess {n}"), None, &origin).await.unwrap();
        let answers = futures_util::future::join_all((0..200).map(guess)).await;
        let tried = answers.iter().filter(|answer| matches!(answer, kith::features::identity::SignedIn::Refused)).count();
        assert!((1..20).contains(&tried), "{tried} passwords were tried");
    }

    async fn a_mailbox_is_not_flooded(server: &Server) {
        let admin = server.admin().await;
        let email = email_of(&admin).await;
        let ask = "mutation($email: String!) { requestMagicLink(input: { email: $email }) { accepted userErrors { code } } }";
        for _ in 0..40 {
            let answer = server.anonymous().ask_with(ask, json!({ "email": email })).await;
            assert_eq!(answer["requestMagicLink"]["accepted"], true);
        }
        let mails = server.mails(&email, 1).await;
        assert!(mails.len() < 10, "{} mails", mails.len());
    }

    async fn a_stranger_asks_for_little_at_once(server: &Server) {
        let many: String = (0..4).map(|n| format!("a{n}: signIn(input: {{ email: \"a@test.example\", password: \"x\" }}) {{ userErrors {{ code }} }} ")).collect();
        assert_eq!(server.anonymous().refused(&format!("mutation {{ {many} }}")).await.0, "BAD_REQUEST");
        let form = Request::post("/graphql").header("content-type", "text/plain").body(Body::from("{\"query\":\"{ __typename }\"}")).unwrap();
        assert_eq!(server.send(form).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }

    async fn a_browser_signs_in_by_cookies(server: &Server) {
        let admin = server.admin().await;
        let email = email_of(&admin).await;
        let document = "mutation($e: String!) { signIn(input: { email: $e, password: \"correct horse\", transport: COOKIE }) { session { accessToken refreshToken member { name } } } }";
        let begin = json!({ "query": document, "variables": { "e": email } });
        // Another page cannot sign its visitors in as somebody else.
        let (_, headers, answer) = server.anonymous().post(begin.clone(), &[]).await;
        assert_eq!((headers.get("set-cookie"), answer["errors"][0]["extensions"]["code"].as_str()), (None, Some("FORBIDDEN")));
        let (_, headers, answer) = server.anonymous().post(begin, &[("x-kith-csrf", "1")]).await;
        assert_eq!((&answer["data"]["signIn"]["session"]["accessToken"], &answer["data"]["signIn"]["session"]["refreshToken"]), (&Value::Null, &Value::Null));
        let set: Vec<&str> = headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(set.len(), 2);
        for cookie in &set {
            assert!(cookie.starts_with("__Host-kith-") && cookie.contains("; Path=/; ") && cookie.contains("; HttpOnly; Secure; SameSite=Lax"), "{cookie}");
        }
        let cookies = cookies_of(&headers);
        let ask = async |query: &str, headers: &[(&str, &str)]| server.anonymous().post(json!({ "query": query }), headers).await;
        // A POST without the header could come from any page.
        let (status, _, answer) = ask("{ viewer { member { email } } }", &[("cookie", &cookies)]).await;
        assert_eq!((status, answer["errors"][0]["extensions"]["code"].as_str()), (StatusCode::FORBIDDEN, Some("FORBIDDEN")));
        let (_, _, answer) = ask("{ viewer { member { email } } }", &[("cookie", &cookies), ("x-kith-csrf", "1")]).await;
        assert_eq!(answer["data"]["viewer"]["member"]["email"], email);
        let get = Request::get("/graphql?query=%7Bviewer%7Bmember%7Bemail%7D%7D%7D").header("cookie", &cookies).body(Body::empty()).unwrap();
        assert!(server.send(get).await.2.contains(&email));
        // The refresh cookie gives a new pair, in cookies again; without the header it is not looked at.
        let refresh = "mutation { refreshSession(input: {}) { session { accessToken } userErrors { code } } }";
        server.clock.advance(16 * 60 * 1_000_000);
        let only_refresh = cookies.split("; ").find(|cookie| cookie.contains("refresh")).unwrap().to_owned();
        let (_, _, answer) = ask(refresh, &[("cookie", &only_refresh)]).await;
        assert_eq!(answer["data"]["refreshSession"]["session"], Value::Null);
        let (_, headers, answer) = ask(refresh, &[("cookie", &cookies), ("x-kith-csrf", "1")]).await;
        assert_eq!(answer["data"]["refreshSession"], json!({ "session": { "accessToken": null }, "userErrors": [] }));
        let cookies = cookies_of(&headers);
        let (_, headers, answer) = ask("mutation { signOut { signedOut } }", &[("cookie", &cookies), ("x-kith-csrf", "1")]).await;
        assert_eq!(answer["data"]["signOut"]["signedOut"], true);
        assert!(headers.get_all("set-cookie").iter().all(|value| value.to_str().unwrap().contains("Max-Age=0")));
        let (_, _, answer) = ask("{ viewer { settings } }", &[("cookie", &cookies), ("x-kith-csrf", "1")]).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
    }

    async fn ten_thousand_wrong_passwords_neither_sign_in_nor_lock_out(server: &Server) {
        let admin = server.admin().await;
        let email = email_of(&admin).await;
        let guess = async |from: &str, password: &str| {
            let origin = kith::platform::Origin { address: Some(from.to_owned()), user_agent: None };
            server.app.identity.sign_in(&email, password, None, &origin).await.unwrap()
        };
        let mut tried = 0;
        for n in 0..10_000 {
            match guess("198.51.100.1", &format!("guess {n}")).await {
                kith::features::identity::SignedIn::Refused => tried += 1,
                kith::features::identity::SignedIn::Wait(_) => {}
                _ => panic!("somebody got in"),
            }
        }
        assert!(tried < 20, "{tried} passwords were tried");
        // Their owner, who comes from elsewhere, signs in.
        let own = guess("203.0.113.9", "correct horse").await;
        assert!(matches!(own, kith::features::identity::SignedIn::Session(_)));
    }
}

fn cookies_of(headers: &HeaderMap) -> String {
    let pairs: Vec<&str> = headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap().split(';').next().unwrap()).collect();
    pairs.join("; ")
}

#[tokio::test]
async fn without_mail_nothing_is_promised() {
    let server = Server::on_sqlite_with(|config| config.mail.url.clear()).await;
    let ask = "mutation { requestMagicLink(input: { email: \"a@x.example\" }) { accepted userErrors { code } } }";
    let answer = server.anonymous().ask(ask).await;
    assert_eq!(answer["requestMagicLink"], json!({ "accepted": false, "userErrors": [{ "code": "FEATURE_UNAVAILABLE" }] }));
    assert_eq!(
        server.anonymous().ask("{ signInOptions { mail issuers { name } } }").await["signInOptions"],
        json!({ "mail": false, "issuers": [] })
    );
}
