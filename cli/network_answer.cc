#include "cli/network_answer.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <sstream>

#include "base/table.h"
#include "base/text.h"

namespace isochrone::cli {

namespace {

using nlohmann::ordered_json;

constexpr std::size_t kLinksShown = 5;  // in text; JSON has them all

std::string TrafficOf(const study::LinkLine& link) {
  std::string text;
  for (const study::TrafficLine& traffic : link.traffic)
    text += (text.empty() ? "" : ", ") + std::string(plan::NameOf(traffic.stream)) + " " + HumanBytes(traffic.bytes);
  return text;
}

std::string When(const study::LinkLine& link) {
  if (link.load.shared.value == 0) return "never";
  return HumanTime(link.load.first_shared) + " to " + HumanTime(link.load.last_shared);
}

}  // namespace

std::string NetworkText(const study::NetworkAnswer& network) {
  std::ostringstream out;
  out << "Network: " << network.fabric << ", " << Grouped(network.step.messages) << " messages, played by "
      << network.engine << "; "
      << (network.contention.value == 0 ? "sharing links costs nothing"
                                        : "sharing links costs " + HumanTime(network.contention) + " of the step")
      << ".\n";
  Table links({{"link", "link", "", Align::kLeft},
               {"load", "load", "%"},
               {"shared", "shared for", "s"},
               {"most", "at once", ""},
               {"delay", "messages late by", "s"},
               {"when", "shared from", "", Align::kLeft},
               {"traffic", "traffic", "", Align::kLeft}});
  for (std::size_t i = 0; i < std::min(kLinksShown, network.links.size()); ++i) {
    const study::LinkLine& link = network.links[i];
    links.AddRow({link.name, Number{100 * link.utilisation, 1}, Number{link.load.shared.value, 3},
                  static_cast<std::int64_t>(link.load.most_at_once), Number{link.load.delay.value, 3}, When(link),
                  TrafficOf(link)});
  }
  out << links.Text() << "\n";
  return out.str();
}

ordered_json NetworkJson(const study::NetworkAnswer& network) {
  ordered_json links = ordered_json::array();
  for (const study::LinkLine& link : network.links) {
    ordered_json traffic = ordered_json::array();
    for (const study::TrafficLine& t : link.traffic)
      traffic.push_back({{"stream", plan::NameOf(t.stream)}, {"messages", t.messages}, {"bytes", t.bytes.value}});
    links.push_back({{"name", link.name},
                     {"bytes", link.load.bytes.value},
                     {"utilisation", link.utilisation},
                     {"busy_s", link.load.busy.value},
                     {"shared_s", link.load.shared.value},
                     {"first_shared_s", link.load.first_shared.value},
                     {"last_shared_s", link.load.last_shared.value},
                     {"most_at_once", link.load.most_at_once},
                     {"delay_s", link.load.delay.value},
                     {"traffic", traffic}});
  }
  return {{"fabric", network.fabric},
          {"engine", network.engine},
          {"messages", network.step.messages},
          {"uncontended_s", network.step.uncontended.value},
          {"contention_s", network.contention.value},
          {"links", links}};
}

}  // namespace isochrone::cli
