// How a CPU moves parameters and gradients that are whole only while a layer works (executor/layer_state.h).
#include <cstring>

#include "executor/rank.h"
#include "kernels/vector.h"

namespace isochrone::executor {

template <class T>
void Rank<T>::TakeValue(Parameter<T>& p) {
  p.value = memory_.Allocate(plan::BufferKind::kCommunication, static_cast<std::size_t>(p.padded) * sizeof(T), p.key);
}

template <class T>
void Rank<T>::GatherValues(const std::vector<Parameter<T>*>& parameters, plan::Group group) {
  std::vector<Slice<T>> slices;
  for (const Parameter<T>* p : parameters) slices.push_back({p->OwnedValue(), p->value->template As<T>(), p->padded});
  Account(plan::Stream::kData, communicator_.AllGather(TeamOf(group), slices));
}

template <class T>
void Rank<T>::ReleaseValue(Parameter<T>& p) {
  p.value.reset();
}

template <class T>
void Rank<T>::TakeGradient(Parameter<T>& p) {
  p.gradient =
      memory_.Allocate(plan::BufferKind::kCommunication, static_cast<std::size_t>(p.padded) * sizeof(T), p.key);
  ClearGradient(p);
}

template <class T>
void Rank<T>::ClearGradient(Parameter<T>& p) {
  std::memset(p.gradient->template As<T>(), 0, p.gradient->Size());
}

template <class T>
void Rank<T>::ReduceGradients(const std::vector<Parameter<T>*>& parameters, plan::Group group, bool of_shares) {
  const Team& team = TeamOf(group);
  if (team.Size() == 1) return;
  std::vector<Slice<T>> slices;
  for (const Parameter<T>* p : parameters) {
    T *whole = p->gradient->template As<T>(), *mine = whole + p->first_owned;
    slices.push_back(of_shares ? Slice<T>{mine, mine, p->owned} : Slice<T>{whole, mine, p->padded});
  }
  Account(plan::Stream::kData,
          of_shares ? communicator_.AllReduce(team, slices) : communicator_.ReduceScatter(team, slices));
}

template <class T>
void Rank<T>::KeepGradient(Parameter<T>& p) {
  T* share = p.gradient_share->template As<T>();
  kernels::Add<T>(p.owned, share, p.gradient->template As<T>() + p.first_owned, share);
}

template <class T>
void Rank<T>::ReleaseGradient(Parameter<T>& p) {
  p.gradient.reset();
}

#define ISO_RANK_STATE(T)                                                                       \
  template void Rank<T>::TakeValue(Parameter<T>&);                                              \
  template void Rank<T>::GatherValues(const std::vector<Parameter<T>*>&, plan::Group);          \
  template void Rank<T>::ReleaseValue(Parameter<T>&);                                           \
  template void Rank<T>::TakeGradient(Parameter<T>&);                                           \
  template void Rank<T>::ClearGradient(Parameter<T>&);                                          \
  template void Rank<T>::ReduceGradients(const std::vector<Parameter<T>*>&, plan::Group, bool); \
  template void Rank<T>::KeepGradient(Parameter<T>&);                                           \
  template void Rank<T>::ReleaseGradient(Parameter<T>&);
ISO_RANK_STATE(float)
ISO_RANK_STATE(double)

}  // namespace isochrone::executor
