using System.Collections.Immutable;
using Microsoft.Extensions.Logging;

namespace NeoCommons.EfCore.Admin;

/// <summary>Those who want to hear of changes; one that fails does not keep the others from hearing.</summary>
internal sealed class ChangeListeners<T>(ILogger log)
{
    private ImmutableArray<Action<T>> _all = [];

    public IDisposable Add(Action<T> listener)
    {
        ArgumentNullException.ThrowIfNull(listener);

        // A delegate of its own: the same listener may be added twice, and each is taken off once.
        Action<T> own = change => listener(change);
        ImmutableInterlocked.Update(ref _all, all => all.Add(own));
        return new Subscription(() => ImmutableInterlocked.Update(ref _all, all => all.Remove(own)));
    }

    public void Publish(T change)
    {
        foreach (var listener in _all)
        {
            try
            {
                listener(change);
            }
            catch (Exception e)
            {
                RegistryLogMessages.ListenerFailed(log, e);
            }
        }
    }

    private sealed class Subscription(Action end) : IDisposable
    {
        public void Dispose() => end();
    }
}
