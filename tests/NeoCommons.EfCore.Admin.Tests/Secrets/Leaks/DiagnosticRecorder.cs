using System.Data.Common;
using System.Diagnostics;

namespace NeoCommons.EfCore.Admin.Tests.Secrets.Leaks;

/// <summary>Hears the events that EF and the driver offer to whoever observes the process, with the connections in them.</summary>
internal sealed class DiagnosticRecorder
    : IObserver<DiagnosticListener>,
        IObserver<KeyValuePair<string, object?>>,
        IDisposable
{
    private readonly Action<string> _hear;
    private readonly List<IDisposable> _subscriptions = [];

    public DiagnosticRecorder(Action<string> hear)
    {
        _hear = hear;
        _subscriptions.Add(DiagnosticListener.AllListeners.Subscribe(this));
    }

    public void OnNext(DiagnosticListener value) => _subscriptions.Add(value.Subscribe(this));

    public void OnNext(KeyValuePair<string, object?> value)
    {
        _hear($"{value.Key} {value.Value}");
        foreach (var property in value.Value?.GetType().GetProperties() ?? [])
        {
            if (property.GetIndexParameters().Length == 0 && property.PropertyType.IsAssignableTo(typeof(DbConnection)))
            {
                _hear($"{value.Key} {((DbConnection?)property.GetValue(value.Value))?.ConnectionString}");
            }
        }
    }

    public void OnCompleted() { }

    public void OnError(Exception error) { }

    public void Dispose() => _subscriptions.ForEach(s => s.Dispose());
}
