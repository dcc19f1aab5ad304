#include "cli/command.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/orders.h"
#include "cli/store.h"
#include "control/client.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct waiting {
	struct control_answer *answer;
	bool there;
};

static void take_answer(void *user, uint64_t id, const struct control_answer *answer)
{
	struct waiting *waiting = user;

	(void)id;
	*waiting->answer = *answer;
	waiting->there = true;
}

static struct control_peer myself(void)
{
	const struct passwd *entry = getpwuid(getuid());
	struct control_peer peer = { .uid = getuid(), .gid = getgid(), .pid = getpid() };

	if (entry)
		snprintf(peer.user, sizeof(peer.user), "%s", entry->pw_name);
	else
		snprintf(peer.user, sizeof(peer.user), "%u", (unsigned)peer.uid);
	return peer;
}

/* The same turns as the daemon's, with nothing else in them. */
static bool work(const struct config *config, struct queue *queue, const struct control_request *request, const struct control_peer *peer,
		 struct control_answer *ret_answer, struct error *err)
{
	struct waiting waiting = { .answer = ret_answer };
	struct orders *orders = orders_new(config, queue, NULL, take_answer, &waiting);
	bool committed = true;

	orders_put(orders, 1, peer, request);
	while (!waiting.there && committed) {
		orders_gather(orders, clock_steady_ms(), clock_wall_ms());
		committed = queue_commit(queue, err);
		orders_act(orders, committed);
	}
	orders_free(orders);
	return committed;
}

/* Who may not write the directory would otherwise be told of one file in it. */
static bool explain(const struct config *config, struct error *err)
{
	struct error why = *err;
	struct stat st;

	if (err->code != ERROR_PERMISSION || geteuid() == 0 || stat(config->state_dir, &st) < 0 || st.st_uid == geteuid())
		return false;
	return error_set(err, ERROR_PERMISSION, "%s: no daemon runs, and without one this is for root and for the owner of %s alone",
			 why.text, config->state_dir);
}

static bool do_it_here(const struct config *config, const struct control_request *request, struct control_answer *ret_answer,
		       struct error *err)
{
	const struct control_peer peer = myself();
	struct store store = { 0 };
	int64_t in_doubt;
	bool good;

	if (!store_become_owner(config, err) || !store_open(config, clock_steady_ms(), clock_wall_ms(), &store, &in_doubt, err))
		return explain(config, err);
	good = work(config, store.queue, request, &peer, ret_answer, err);
	store_close(&store);
	return good;
}

static int show(const struct control_answer *answer)
{
	struct error err;

	for (size_t i = 0; i < answer->n_examples; i++)
		printf("row %" PRId64 ": %s\n", answer->examples[i].row, answer->examples[i].why);
	if (answer->declined > (int64_t)answer->n_examples)
		printf("and %" PRId64 " more\n", answer->declined - (int64_t)answer->n_examples);
	if (answer->status == ERROR_NONE || answer->rows || answer->declined)
		printf("%s\n", answer->text);
	else
		cli_say("%s", answer->text);
	return cli_flush(&err) ? (int)answer->status : cli_fail(&err);
}

int command_give(const struct config *config, const struct control_request *request)
{
	struct control_answer *answer = xcalloc(1, sizeof(*answer));
	struct error err = { 0 };
	int status = ERROR_NONE;

	switch (control_ask(config->control_socket, request, answer, &err)) {
	case CONTROL_ASKED_ANSWERED: status = show(answer); break;
	case CONTROL_ASKED_FAILED: status = cli_fail(&err); break;
	case CONTROL_ASKED_NOBODY: status = do_it_here(config, request, answer, &err) ? show(answer) : cli_fail(&err);
	}
	free(answer);
	return status;
}
