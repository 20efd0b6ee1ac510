using System.Collections;

namespace NeoCommons.EfCore.Admin.Tests.Secrets.Leaks;

/// <summary>All that can be read off a value.</summary>
internal static class Texts
{
    /// <summary>An exception with its data and properties, and those within it.</summary>
    public static string Of(Exception exception)
    {
        var text = new List<string> { exception.ToString(), exception.Message, exception.Source ?? "" };
        foreach (DictionaryEntry entry in exception.Data)
        {
            text.Add($"{OfValue(entry.Key)}={OfValue(entry.Value)}");
        }

        foreach (var property in exception.GetType().GetProperties().Where(p => p.Name != nameof(Exception.TargetSite)))
        {
            if (
                property.GetIndexParameters().Length == 0
                && property.GetValue(exception) is { } value and not Exception
            )
            {
                text.Add($"{property.Name}={OfValue(value)}");
            }
        }

        var inner = exception is AggregateException many
            ? many.InnerExceptions
            : (IEnumerable<Exception>)(exception.InnerException is { } one ? [one] : []);
        return string.Join('\n', [.. text, .. inner.Select(Of)]);
    }

    /// <summary>A value, element by element where it has some.</summary>
    public static string OfValue(object? value) =>
        value switch
        {
            null => "",
            string text => text,
            Exception exception => Of(exception),
            byte[] bytes => System.Text.Encoding.UTF8.GetString(bytes),
            IEnumerable many => $"{value} [{string.Join(", ", many.Cast<object?>().Select(OfValue))}]",
            _ => $"{value}",
        };
}
