// What the functions of ledger.lua answer, as the job store's answers. All throw Error where a reply is not what it should
// be: the server is another machine.
#pragma once

#include <string>
#include <vector>

#include "serve/jobs/job_store.h"
#include "serve/redis/redis_reply.h"

namespace inkstone::serve {

std::string key_text(const JobKey& key);  // "ORDER.II"

SubmitAnswer submit_answer(const RedisReply& reply);
CancelAnswer cancel_answer(const RedisReply& reply);
FinishAnswer finish_answer(const RedisReply& reply);
std::vector<OrderRecord> states_answer(const RedisReply& reply, size_t orders);
std::vector<LeasedJob> lease_answer(const RedisReply& reply);
BeatAnswer beat_answer(const RedisReply& reply);
std::vector<Notice> notices_answer(const RedisReply& reply);
StoreFigures figures_answer(const RedisReply& reply);

}  // namespace inkstone::serve
