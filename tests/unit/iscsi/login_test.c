#include "login_client.h"

static void a_discovery_login_without_authentication_reaches_full_feature_phase(void **state)
{
	struct client client = client_of(OPEN_SERVE);

	(void)state;
	assert_int_equal(client_say(&client, SECURITY, TRANSIT, OPERATIONAL, DISCOVERY "\nAuthMethod=None"), ISCSI_LOGIN_REPLY);
	assert_int_equal(client_status(&client), 0);
	assert_string_equal(client_value(&client, "AuthMethod"), "None");
	assert_null(client_value(&client, "TargetPortalGroupTag"));
	assert_int_equal(client.response.bhs[1], TRANSIT | SECURITY << 2 | OPERATIONAL);
	assert_int_equal(client_say(&client, OPERATIONAL, TRANSIT, FULL_FEATURE,
				    "HeaderDigest=None\nMaxRecvDataSegmentLength=32768\nInitialR2T=No"), ISCSI_LOGIN_DONE);
	client_finish(&client);
	assert_string_equal(client_value(&client, "InitialR2T"), "Irrelevant");
	assert_string_equal(client_value(&client, "MaxRecvDataSegmentLength"), "32768");
	assert_true(iscsi_login_facts(client.login)->discovery);
	client_end(&client);
}

static void a_normal_login_gets_the_portal_group_tag_in_the_first_response(void **state)
{
	struct client client = client_of(OPEN_SERVE);

	(void)state;
	assert_int_equal(client_say(&client, SECURITY, TRANSIT, OPERATIONAL, NAMES "\nAuthMethod=CHAP,None"), ISCSI_LOGIN_REPLY);
	assert_string_equal(client_value(&client, "TargetPortalGroupTag"), "1");
	assert_string_equal(client_value(&client, "AuthMethod"), "None");
	assert_int_equal(client_say(&client, OPERATIONAL, TRANSIT, FULL_FEATURE, "MaxBurstLength=16776192"), ISCSI_LOGIN_DONE);
	client_finish(&client);
	assert_string_equal(client_value(&client, "MaxBurstLength"), "1048576");
	assert_string_equal(client_value(&client, "MaxRecvDataSegmentLength"), "262144");
	assert_int_equal(get_be16(client.response.bhs + 14), 1);
	assert_string_equal(iscsi_target_name(iscsi_login_facts(client.login)->target), TARGET);
	assert_int_equal(iscsi_login_params(client.login)->max_burst_bytes, 1048576);
	client_end(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_discovery_login_without_authentication_reaches_full_feature_phase),
		cmocka_unit_test(a_normal_login_gets_the_portal_group_tag_in_the_first_response),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
